// CrashStack: Symbols, for modules that no process has mapped any more.
#include "master/crash_stack.h"

#include "master/symbols.h"

namespace master {

using common::Json;

Json crash_stack(const CrashRecord& record) {
  auto symbols = Symbols::of_modules(record.modules);
  if (!symbols) return plain_crash_stack(record);
  const std::size_t shown = symbols->application_end(record.frames);
  std::vector<std::string> frames = symbols->all_frames(std::span(record.frames).first(shown));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (symbols->resolve(record.frames[i]).module.empty()) frames[i] = plain_frame(record, record.frames[i]);
  }
  return frames;
}

Json plain_crash_stack(const CrashRecord& record) {
  Json frames = Json::array();
  for (const std::uint64_t address : record.frames) frames.push_back(plain_frame(record, address));
  return frames;
}

}  // namespace master
