// The request as JSON: what /inspect answers.
#pragma once

#include <string>
#include <supervisor/app.hpp>

namespace torture {

// {"method","target","version","headers":[[name,value],...],"body":base64,"trailers":[...],"peer","scheme"}, in this
// order. Bytes from 0x80 on become the \u escape of the same number, so every request makes valid JSON.
std::string inspect(const supervisor::Request& request);

}  // namespace torture
