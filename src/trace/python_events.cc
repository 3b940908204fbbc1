#include "python_events.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "haft/base/text.h"

namespace haft::trace {
namespace {

void AppendUtf8(std::string& text, std::uint32_t point) {
  auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (point >= 0xDC80 && point <= 0xDCFF) {
    add(point - 0xDC00);  // a byte that is no text, as Python keeps it (surrogateescape)
  } else if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xC0 | point >> 6), add(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    add(0xE0 | point >> 12), add(0x80 | (point >> 6 & 0x3F)), add(0x80 | (point & 0x3F));
  } else {
    add(0xF0 | (point >> 18 & 7)), add(0x80 | (point >> 12 & 0x3F)),
        add(0x80 | (point >> 6 & 0x3F)), add(0x80 | (point & 0x3F));
  }
}

// Undoes Python's unicode_escape.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      plain += text[i];
      continue;
    }
    char kind = text[++i];
    std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (digits == 0) {
      plain += kind == 'n' ? '\n' : kind == 't' ? '\t' : kind == 'r' ? '\r' : kind;
    } else if (auto point = ToNumber<std::uint32_t>(text.substr(i + 1, digits), 16)) {
      AppendUtf8(plain, *point);
      i += digits;
    }
  }
  return plain;
}

// One line, field by field. A field that is missing or wrong makes the whole line bad.
class Fields {
 public:
  explicit Fields(std::string_view line) : fields_(Split(line, '\t')) {}

  std::string Text() {
    return next_ < fields_.size() ? Unescape(fields_[next_++]) : (good_ = false, "");
  }
  int Id() { return Number<int>(); }
  Nanoseconds Time() { return Number<Nanoseconds>(); }
  bool good() const { return good_ && next_ == fields_.size(); }

 private:
  template <typename T>
  T Number() {
    auto number = next_ < fields_.size() ? ToNumber<T>(fields_[next_++]) : std::nullopt;
    good_ = good_ && number;
    return number.value_or(0);
  }

  std::vector<std::string_view> fields_;
  std::size_t next_ = 0;
  bool good_ = true;
};

// Imports of a thread nest: each takes its time from the one it happens in.
void SubtractInnerImports(std::vector<Import>& imports) {
  std::map<int, std::vector<Import*>> open;  // by thread, the innermost last
  for (Import& import : imports) {
    auto& stack = open[import.thread];
    while (!stack.empty() && stack.back()->end <= import.begin) stack.pop_back();
    import.self = import.end - import.begin;
    if (!stack.empty()) stack.back()->self -= std::min(stack.back()->self, import.self);
    stack.push_back(&import);
  }
}

}  // namespace

PythonEvents ParsePythonEvents(std::string_view text) {
  PythonEvents events;
  std::string root;
  auto inside = [&](const std::string& path) {
    bool is_inside = !root.empty() && path.size() > root.size() && path.starts_with(root) &&
                     path[root.size()] == '/';
    return is_inside ? path.substr(root.size() + 1) : std::string();
  };
  std::vector<std::pair<Import, std::string>> imports;  // with the source
  for (std::string_view line : Split(text, '\n')) {
    Fields fields(line);
    std::string kind = fields.Text();
    int pid = fields.Id(), thread = fields.Id();
    Nanoseconds begin = fields.Time();
    if (kind == "python") {
      std::string new_root = fields.Text();
      Python python{.pid = pid, .begin = begin, .executable = fields.Text()};
      if (!fields.good()) continue;
      root = new_root;
      events.pythons.push_back(std::move(python));
    } else if (kind == "open") {
      Opened opened{.thread = thread, .when = begin, .path = inside(fields.Text()), .module = {}};
      opened.module = fields.Text();
      if (fields.good() && !opened.path.empty()) events.opened.push_back(std::move(opened));
    } else if (kind == "import" || kind == "failed") {
      Import import{.pid = pid,
                    .thread = thread,
                    .begin = begin,
                    .end = fields.Time(),
                    .module = fields.Text(),
                    .importer = {},
                    .file = {},
                    .failed = kind == "failed"};
      import.importer = fields.Text();
      std::string source;
      if (!import.failed) {
        source = inside(fields.Text());
        import.file = inside(fields.Text());
        if (import.file.empty()) import.file = source;
      }
      if (fields.good() && import.begin <= import.end)
        imports.emplace_back(std::move(import), std::move(source));
    }
  }
  // By begin; of two that begin together the outer one first.
  std::ranges::stable_sort(imports, [](const auto& a, const auto& b) {
    return a.first.begin != b.first.begin ? a.first.begin < b.first.begin
                                          : a.first.end > b.first.end;
  });
  for (auto& [import, source] : imports) {
    events.imports.push_back(std::move(import));
    events.sources.push_back(std::move(source));
  }
  SubtractInnerImports(events.imports);
  return events;
}

}  // namespace haft::trace
