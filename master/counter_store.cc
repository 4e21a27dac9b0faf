// CounterStore: taking, writing, storing.
#include "master/counter_store.h"

#include <string>
#include <utility>

#include "common/log.h"

namespace master {
namespace {

void ignore(const common::Error& error) {
  common::log(common::LogLevel::kWarn, common::LogEvent::kCountersStale,
              "the stored counters cannot be used; others take their place",
              {{"name", kCountersName}, {"reason", error.message}});
}

}  // namespace

// If there are several, which nothing of ours leads to: the first that can be used.
KeptCounters take_counters(std::vector<PassedSocket>& passed) {
  KeptCounters kept;
  std::vector<PassedSocket> others;
  for (PassedSocket& candidate : passed) {
    if (candidate.name != kCountersName) {
      others.push_back(std::move(candidate));
      continue;
    }
    if (kept.page) {
      ignore({.message = "there is another one"});
      kept.in_store = KeptCounters::InStore::kOther;
      continue;
    }
    auto page = CounterPage::attach(std::move(candidate.fd));
    const auto totals = page ? page->read() : std::unexpected(page.error());
    if (!totals) {
      ignore(totals.error());
      kept.in_store = KeptCounters::InStore::kOther;
      continue;
    }
    if (kept.in_store == KeptCounters::InStore::kNothing) kept.in_store = KeptCounters::InStore::kPage;
    kept.page = std::move(*page);
    kept.totals = *totals;
  }
  passed = std::move(others);
  return kept;
}

KeptCounters resume_counters(common::UniqueFd fd, const ServiceTotals& totals) {
  KeptCounters kept{.in_store = KeptCounters::InStore::kOther, .totals = totals};
  if (!fd) return kept;
  if (auto page = CounterPage::attach(std::move(fd))) {
    kept.page = std::move(*page);
    kept.in_store = KeptCounters::InStore::kPage;
  }
  return kept;
}

CounterStore::CounterStore(Systemd& systemd, KeptCounters kept)
    : systemd_(systemd), in_store_(kept.in_store), page_(std::move(kept.page)) {}

void CounterStore::follow(const ServiceTotals& totals, common::TimePoint now, Hurry hurry) {
  if (!systemd_.listens() || is_broken_) return;
  const bool is_due = !next_write_ || now >= *next_write_;
  if (!is_due && hurry == Hurry::kNo && totals.counters == written_.counters && in_store_ == InStore::kPage) return;
  const bool is_first = !next_write_;
  next_write_ = now + kInterval;
  if (!page_) {
    auto page = CounterPage::create();
    if (!page) return give_up(page.error());
    page_ = std::move(*page);
  }
  if (is_first || totals != written_) {
    if (auto done = page_->write(totals); !done) return give_up(done.error());
    written_ = totals;
  }
  if (in_store_ == InStore::kOther && systemd_.drop(std::string(kCountersName)) == Told::kYes) {
    in_store_ = InStore::kNothing;
  }
  if (in_store_ == InStore::kNothing && systemd_.store(page_->fd(), std::string(kCountersName)) == Told::kYes) {
    in_store_ = InStore::kPage;
  }
}

int CounterStore::fd() const { return page_ && in_store_ == InStore::kPage ? page_->fd() : -1; }

void CounterStore::give_up(const common::Error& error) {
  common::log(common::LogLevel::kWarn, common::LogEvent::kCountersNotKept,
              "the counters are not kept for the next start: " + error.message);
  is_broken_ = true;
  next_write_.reset();
}

}  // namespace master
