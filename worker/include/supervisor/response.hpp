// supervisor/response.hpp: the answer handle() returns. Included by <supervisor/app.hpp>.
#pragma once

#include <supervisor/app.h>
#include <supervisor/log.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace supervisor {

struct Header {
  std::string name;
  std::string value;
};

// `return {200, "hello\n"};` allocates nothing: 15 bytes of body fit into the std::string itself.
struct Response {
  int status = 200;                   // 200 to 599
  std::string body = {};              // its length becomes Content-Length
  std::vector<Header> headers = {};   // without Content-Length, Transfer-Encoding, Connection, Date and Server
};

namespace [[gnu::visibility("hidden")]] detail {

inline void send(supervisor_request* raw, const Response& response) {
  constexpr std::size_t kHeadersOnStack = 16;  // more than that is rare enough to pay for an allocation
  std::array<supervisor_field, kHeadersOnStack> few;
  std::vector<supervisor_field> many;
  supervisor_field* fields = few.data();
  if (response.headers.size() > few.size()) {
    many.resize(response.headers.size());
    fields = many.data();
  }
  std::transform(response.headers.begin(), response.headers.end(), fields,
                 [](const Header& header) { return supervisor_field{to_str(header.name), to_str(header.value)}; });
  const supervisor_response answer = {sizeof answer, response.status, fields, response.headers.size(),
                                      to_str(response.body)};
  host->respond(raw, &answer);  // a refused answer is in the log already, and the client gets a 500
}

}  // namespace detail
}  // namespace supervisor
