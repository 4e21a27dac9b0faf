// Service: files in the container, and systemctl.
#include "service.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>

namespace systemd {

Service::Service(Container& container, std::string instance, std::string_view application, std::string_view lines)
    : container_(container), instance_(std::move(instance)) {
  configure(application, lines);
}

void Service::configure(std::string_view application, std::string_view lines) const {
  std::string text = "application.path = \"" + application_inside(application) + "\"\n";
  text += lines;
  container_.write_file("/etc/supervisor/" + instance_ + ".toml", text);
}

void Service::add_drop_in(std::string_view text) const { container_.write_unit(unit() + ".d/test.conf", text); }

void Service::take_example(const std::string& name) const {
  const std::string directory = "/etc/systemd/system/" + unit() + ".d";
  const std::string example = "/usr/share/doc/supervisor/systemd/drop-ins/" + name + ".conf";
  const Outcome taken =
      container_.shell("mkdir -p " + directory + " && cp " + example + " " + directory + " && systemctl daemon-reload");
  EXPECT_TRUE(taken.ok()) << taken;
}

void Service::listen(const std::vector<std::string>& streams, std::string_view more) const {
  std::string text = "[Socket]\nListenStream=\n";
  for (const std::string& stream : streams) text += "ListenStream=" + stream + "\n";
  text += more;
  container_.write_unit(socket() + ".d/test.conf", text);
}

int Service::restarts() const { return std::atoi(show("NRestarts").c_str()); }

support::Status Service::status() const {
  const Outcome outcome = container_.run({"/usr/bin/supervisor", "status", "--json", instance_});
  const common::Result<support::Status> status = support::parse_status(outcome.output);
  EXPECT_TRUE(status) << status.error().message << "\n" << outcome;
  return status.value_or(support::Status());
}

bool Service::wait_status_text(std::string_view text) const {
  return support::wait_until([&] { return show("StatusText").find(text) != std::string::npos; });
}

std::vector<JournalRecord> Service::journal(const std::vector<std::string>& matches) const {
  return container_.journal(unit(), matches);
}

Outcome Service::systemctl(const std::string& verb) const { return container_.systemctl({verb, unit()}); }

int times(int in_short, int in_long) { return std::getenv("SUPERVISOR_TEST_LONG") != nullptr ? in_long : in_short; }

}  // namespace systemd
