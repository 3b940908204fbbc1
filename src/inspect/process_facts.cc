#include "process_facts.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/format/json.h"
#include "haft/format/layout.h"
#include "haft/format/manifest.h"

namespace haft {
namespace {

constexpr std::string_view kBootstrap = "/.haft/py";
constexpr std::string_view kVariable = "PYTHONPATH=";
constexpr std::size_t kImageIdDigits = 2 * sizeof(format::Digest);

// The tree of a PYTHONPATH that begins with a bundle's bootstrap; else "".
std::string TreeOf(const std::string& python_path) {
  const std::string tree = python_path.substr(0, python_path.find(kBootstrap));
  const auto slash = tree.rfind('/');
  if (tree.size() == python_path.size() || slash == tree.npos || tree.find(':') != tree.npos)
    return "";
  const std::string outer(BaseName(std::string_view(tree).substr(0, slash)));
  const bool is_entry =
      outer.size() > kImageIdDigits + 1 && outer.starts_with(fmt::format("{}-", BaseName(tree)));
  return is_entry && format::IsMountPath(tree) ? tree : "";
}

bool IsImageId(std::string_view text) {
  return text.size() <= kImageIdDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool IsModeWord(std::string_view text) {
  return text.size() <= 16 && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == text.npos;
}

}  // namespace

double StartTicks(const std::string& stat) {
  const auto name_end = stat.rfind(')');
  if (name_end == stat.npos) return 0;
  std::istringstream words(stat.substr(name_end + 1));
  std::string word;
  for (int i = 0; i < 20; ++i) words >> word;
  return words ? std::strtod(word.c_str(), nullptr) : 0;
}

std::string ExtractedTree(std::string_view environ) {
  for (std::string_view entry : Lines(environ, '\0')) {
    if (!entry.starts_with(kVariable) || !entry.substr(kVariable.size()).starts_with('/')) continue;
    if (std::string tree = TreeOf(std::string(entry.substr(kVariable.size()))); !tree.empty())
      return tree;
  }
  return "";
}

void ReadFigures(RunningBundle& bundle, const std::string& stats) {
  const format::JsonLimits limits{.depth = 4, .values = 1000};
  const auto json = format::ParseJsonObject(stats, "statistics", limits);
  if (!json) return;
  auto find = [&](std::string_view object, std::string_view member) -> const nlohmann::json* {
    auto outer = json->find(object);
    if (outer == json->end() || !outer->is_object()) return nullptr;
    auto inner = outer->find(member);
    return inner == outer->end() ? nullptr : &*inner;
  };
  auto number = [&](std::string_view object, std::string_view member) {
    const nlohmann::json* value = find(object, member);
    return value != nullptr && value->is_number_unsigned() ? value->get<std::uint64_t>() : 0;
  };
  auto word = [&](std::string_view object, std::string_view member) {
    const nlohmann::json* value = find(object, member);
    return value != nullptr && value->is_string() ? value->get<std::string>() : "";
  };
  ServerFigures figures{.cache_hits = number("cache", "hits"),
                        .cache_misses = number("cache", "misses"),
                        .rss_bytes = number("server", "rss_bytes"),
                        .server = static_cast<pid_t>(number("server", "pid")),
                        .supervisor = static_cast<pid_t>(number("server", "supervisor")),
                        .deaths = static_cast<std::uint32_t>(number("server", "deaths")),
                        .last_death = word("server", "last_death")};
  if (auto counts = json->find("operations"); counts != json->end() && counts->is_object()) {
    for (const auto& count : *counts)
      if (count.is_number_unsigned()) figures.requests += count.get<std::uint64_t>();
  }
  // Whoever answers may be no server of haft's.
  if (auto name = word("bundle", "name"); format::IsBundleName(name)) bundle.name = name;
  if (auto id = word("bundle", "image_id"); IsImageId(id)) bundle.image_id = id;
  if (auto mode = word("bundle", "mode"); IsModeWord(mode)) bundle.mode = mode;
  std::uint64_t started = number("bundle", "started");
  if (started != 0)
    bundle.uptime = static_cast<double>(::time(nullptr)) - static_cast<double>(started);
  bundle.figures = std::move(figures);
}

}  // namespace haft
