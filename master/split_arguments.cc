// Split arguments: the quoting rules.
#include "master/split_arguments.h"

#include <utility>

namespace master {
namespace {

enum class Quote { kNone, kSingle, kDouble };

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Splitter {
 public:
  common::Result<std::vector<std::string>> split(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '\\' && quote_ != Quote::kSingle) {
        if (i + 1 == text.size()) return common::fail("ends with a backslash; remove it or double it");
        const char next = text[++i];
        // Between double quotes a backslash stays unless it protects a quote or itself: paths and patterns keep theirs.
        if (quote_ == Quote::kDouble && next != '"' && next != '\\') add(c);
        add(next);
      } else {
        take(c);
      }
    }
    if (quote_ != Quote::kNone) return common::fail("a quote is not closed; close it");
    end_word();
    return std::move(words_);
  }

 private:
  void take(char c) {
    switch (quote_) {
      case Quote::kNone:
        if (is_blank(c)) return end_word();
        if (c == '\'') return open(Quote::kSingle);
        if (c == '"') return open(Quote::kDouble);
        return add(c);
      case Quote::kSingle: return c == '\'' ? open(Quote::kNone) : add(c);
      case Quote::kDouble: return c == '"' ? open(Quote::kNone) : add(c);
    }
  }

  // Quotes make a word even when there is nothing between them.
  void open(Quote quote) {
    quote_ = quote;
    within_word_ = true;
  }

  void add(char c) {
    word_ += c;
    within_word_ = true;
  }

  void end_word() {
    if (within_word_) words_.push_back(std::exchange(word_, {}));
    within_word_ = false;
  }

  Quote quote_ = Quote::kNone;
  bool within_word_ = false;
  std::string word_;
  std::vector<std::string> words_;
};

}  // namespace

common::Result<std::vector<std::string>> split_arguments(std::string_view text) { return Splitter().split(text); }

}  // namespace master
