#include "project_file.h"

#include <fmt/format.h>

#include <algorithm>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "haft/base/edit_distance.h"
#include "haft/base/file_io.h"

namespace haft::cli {
namespace {

using Values = std::map<std::string, std::vector<std::string>>;

constexpr std::size_t kMaxSize = 16u << 20;

class Reader {
 public:
  Reader(const std::string& path, const CommandLine& line) : path_(path), line_(line) {}

  Result<Values> Read(const toml::table& table) {
    for (const auto& [key, node] : table) TRY(ReadKey(std::string(key.str()), node));
    return std::move(values_);
  }

 private:
  Error Wrong(const toml::node& node, std::string_view why) const {
    return Error(ErrorKind::kUsage,
                 fmt::format("{}: line {}: {}", Quoted(path_), node.source().begin.line, why));
  }

  Result<> ReadKey(const std::string& key, const toml::node& node) {
    if (key == "pip") return ReadTexts(key, node);
    std::vector<std::string_view> known = line_.LongNames();
    known.push_back("pip");
    std::erase_if(known,
                  [](std::string_view name) { return name == "help" || name == "no-project"; });
    if (std::ranges::find(known, key) == known.end()) {
      auto nearest = Nearest(key, known);
      return Failure(Wrong(node, fmt::format("[tool.haft] has no key {}", Quoted(key)))
                         .Remedy(nearest ? fmt::format("did you mean {}?", Quoted(*nearest))
                                         : "see 'haft build --help'"));
    }
    if (key == "inject-env" && node.is_table()) return ReadVariables(*node.as_table());
    if (line_.Find(key)->IsFlag()) {
      auto value = node.value_exact<bool>();
      if (!value) return Failure(Wrong(node, fmt::format("{} is true or false", Quoted(key))));
      if (*value) values_[key] = {""};
      if (!*value && key == "compressed") values_["uncompressed"] = {""};
      return {};
    }
    return ReadTexts(key, node);
  }

  Result<> ReadTexts(const std::string& key, const toml::node& node) {
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      values_[key].push_back(TRY(Text(key, node)));
      return {};
    }
    for (const toml::node& element : *array) values_[key].push_back(TRY(Text(key, element)));
    return {};
  }

  Result<std::string> Text(const std::string& key, const toml::node& node) const {
    if (auto text = node.value_exact<std::string>()) return *std::move(text);
    if (auto number = node.value_exact<std::int64_t>()) return fmt::format("{}", *number);
    return Failure(Wrong(node, fmt::format("{} is text or an array of texts", Quoted(key))));
  }

  Result<> ReadVariables(const toml::table& table) {
    for (const auto& [name, node] : table) {
      values_["inject-env"].push_back(
          fmt::format("{}={}", name.str(), TRY(Text("inject-env", node))));
    }
    return {};
  }

  const std::string& path_;
  const CommandLine& line_;
  Values values_;
};

}  // namespace

Result<Values> ReadProjectFile(const std::string& path, const CommandLine& line) {
  const std::string text = TRY(ReadWholeFile(path, kMaxSize));
  toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    return Failure(Error(ErrorKind::kUsage, fmt::format("{}: line {}: {}", Quoted(path),
                                                        parsed.error().source().begin.line,
                                                        parsed.error().description()))
                       .Remedy("correct it, or have it left alone with --no-project"));
  }
  const toml::table* options = parsed.table()["tool"]["haft"].as_table();
  if (options == nullptr) return Values{};
  return Reader(path, line).Read(*options);
}

}  // namespace haft::cli
