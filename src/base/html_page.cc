#include "haft/base/html_page.h"

namespace haft {

std::string FillPage(std::string_view page, std::string_view json) {
  constexpr std::string_view kPlace = "/*DATA*/null";
  auto place = page.find(kPlace);
  if (place == page.npos) return std::string(page);
  std::string text(page.substr(0, place));
  text.reserve(page.size() + json.size());
  for (char c : json) {
    // Inside of JSON '<' only occurs in strings, where it may be written as an escape.
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text += page.substr(place + kPlace.size());
}

}  // namespace haft
