// What one request costs without its socket: parsing, policy and the encoding of its answer.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "common/check.h"
#include "common/http_parser.h"
#include "common/http_response.h"

namespace {

using common::RequestParser;

constexpr std::string_view kSmall = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

constexpr std::string_view kBrowser =
    "GET /articles/2024/prefork?page=2&sort=date HTTP/1.1\r\n"
    "Host: shop.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Referer: https://shop.example.com/articles/2024/\r\n"
    "Cookie: session=3f9c2ab7d1e84c55a0b6; theme=dark; consent=1\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Priority: u=0, i\r\n"
    "\r\n";

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

enum class Answering { kNo, kYes };

// Each iteration is one read of a connection that pipelines `times` requests; time is reported per request.
void serve(benchmark::State& state, std::string_view request, int times, Answering answering) {
  const std::string input = repeated(request, times);
  const common::Field fields[] = {{"Content-Type", "text/plain; charset=utf-8"}};
  RequestParser parser{common::RequestLimits{}};
  common::DateCache date;
  std::string out;
  for (auto _ : state) {
    out.clear();
    std::string_view rest = input;
    while (!rest.empty()) {
      const RequestParser::Outcome outcome = parser.feed(rest);
      CHECK(outcome.status == RequestParser::Status::kMessage);
      benchmark::DoNotOptimize(parser.request().target.data());
      if (answering == Answering::kYes) {
        append_response(out, {.status = 200, .fields = fields}, "hello\n", common::BodySending::kSend,
                        common::ConnectionOption::kImplicit, date);
      }
      rest.remove_prefix(outcome.consumed);
      parser.next();
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * times);
  state.counters["per_request"] = benchmark::Counter(static_cast<double>(state.iterations() * times),
                                                     benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void encode(benchmark::State& state) {
  const common::Field fields[] = {{"Content-Type", "text/plain; charset=utf-8"}};
  common::DateCache date;
  std::string out;
  for (auto _ : state) {
    out.clear();
    append_response(out, {.status = 200, .fields = fields}, "hello\n", common::BodySending::kSend,
                    common::ConnectionOption::kImplicit, date);
    benchmark::DoNotOptimize(out.data());
  }
}

}  // namespace

BENCHMARK_CAPTURE(serve, small_1, kSmall, 1, Answering::kYes);
BENCHMARK_CAPTURE(serve, small_pipelined_16, kSmall, 16, Answering::kYes);
BENCHMARK_CAPTURE(serve, small_pipelined_16_parse_only, kSmall, 16, Answering::kNo);
BENCHMARK_CAPTURE(serve, browser_1, kBrowser, 1, Answering::kYes);
BENCHMARK_CAPTURE(serve, browser_parse_only, kBrowser, 1, Answering::kNo);
BENCHMARK(encode);

BENCHMARK_MAIN();
