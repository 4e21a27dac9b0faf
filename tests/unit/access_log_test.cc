// AccessLog: the formats, and what a client cannot do to them.
#include "worker/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

#include "common/json.h"
#include "common/unique_fd.h"

namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_end = common::UniqueFd(ends[0]);
    write_end = common::UniqueFd(ends[1]);
  }
  std::string drain() const {
    std::string all;
    std::array<char, 4096> buffer;
    ssize_t length = 0;
    while ((length = read(read_end.get(), buffer.data(), buffer.size())) > 0) {
      all.append(buffer.data(), static_cast<std::size_t>(length));
    }
    return all;
  }
  common::UniqueFd read_end;
  common::UniqueFd write_end;
};

std::string line_of(common::AccessLog format, std::string_view target, std::string_view agent) {
  const std::array<common::Field, 1> fields{{{"user-agent", agent}}};
  common::Request request;
  request.method = "GET";
  request.target = target;
  request.headers = fields;
  worker::AccessLog log(format);
  log.add(request, "192.0.2.7:51234", 200, 6, 0);
  const Pipe pipe;
  log.flush(pipe.write_end.get());
  return pipe.drain();
}

TEST(AccessLog, WritesTheCombinedFormat) {
  const std::string line = line_of(common::AccessLog::kCombined, "/x?y=1", "curl/8");
  EXPECT_TRUE(line.starts_with("192.0.2.7 - - [")) << line;
  EXPECT_TRUE(line.ends_with("] \"GET /x?y=1 HTTP/1.1\" 200 6 \"-\" \"curl/8\"\n")) << line;
}

TEST(AccessLog, DoesNotLetAClientBreakALine) {
  const std::string line = line_of(common::AccessLog::kCombined, "/", "a\"b\\c\x01");
  EXPECT_TRUE(line.ends_with("\"a\\\"b\\\\c\\x01\"\n")) << line;
}

TEST(AccessLog, WritesOneJsonObjectALine) {
  const std::string line = line_of(common::AccessLog::kJson, "/\"", "\xff");
  const auto json = common::Json::parse(line);
  EXPECT_EQ(json.at("target"), "/\"");
  EXPECT_EQ(json.at("status"), 200);
  EXPECT_EQ(json.at("peer"), "192.0.2.7:51234");
}

TEST(AccessLog, DropsWhatAFullPipeDoesNotTakeInsteadOfWaiting) {
  const Pipe pipe;
  worker::AccessLog log(common::AccessLog::kCombined);
  common::Request request;
  const std::string target(8000, 'a');
  request.target = target;
  for (int i = 0; i < 100; ++i) log.add(request, "unix:", 200, 0, 0);
  log.flush(pipe.write_end.get());
  EXPECT_GT(log.dropped(), 0U);
  EXPECT_FALSE(pipe.drain().empty());
}

}  // namespace
