#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "haft/base/utf8.h"
#include "haft/format/digest.h"
#include "haft/format/manifest.h"
#include "haft/inspect/running_bundles.h"
#include "output.h"

namespace haft::cli {
namespace {

// "3:07", "2:03:07", "5d 02:03".
std::string Uptime(double seconds) {
  auto whole = static_cast<std::uint64_t>(seconds);
  std::uint64_t days = whole / 86400, hours = whole / 3600 % 24, minutes = whole / 60 % 60;
  if (days > 0) return fmt::format("{}d {:02}:{:02}", days, hours, minutes);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string Table(const std::vector<RunningBundle>& bundles) {
  if (bundles.empty()) return "no bundle is running\n";
  std::string text =
      fmt::format("{:>8} {:>5} {:<10} {:>11} {:>9} {:>6} {:>7}  {:<12} {:<20} {}\n", "PID", "PROCS",
                  "MODE", "UPTIME", "REQUESTS", "CACHE", "CRASHES", "IMAGE", "NAME", "FILES AT");
  for (const RunningBundle& bundle : bundles) {
    std::string pid = bundle.pids.empty() ? "-" : fmt::format("{}", bundle.pids[0]);
    std::string requests = "-", cache = "-", crashes = "-";
    if (const auto& figures = bundle.figures) {
      std::uint64_t reads = figures->cache_hits + figures->cache_misses;
      requests = fmt::format("{}", figures->requests);
      if (reads > 0) cache = fmt::format("{}%", figures->cache_hits * 100 / reads);
      crashes = fmt::format("{}", figures->deaths);
    }
    text += fmt::format("{:>8} {:>5} {:<10} {:>11} {:>9} {:>6} {:>7}  {:<12} {:<20} {}\n", pid,
                        bundle.pids.size(), bundle.mode, Uptime(bundle.uptime), requests, cache,
                        crashes, bundle.image_id.substr(0, format::kShownDigits),
                        Shown(bundle.name), Shown(bundle.mount));
  }
  for (const RunningBundle& bundle : bundles) {
    // Somebody will paste this: nothing that others chose stands in it.
    if (bundle.pids.empty() || !bundle.own || !format::IsMountPath(bundle.mount)) continue;
    text += fmt::format(
        "\nlook inside, for example:\n  ls /proc/{0}/root{1}\n  haft exec --attach {0} -- ls {1}\n",
        bundle.pids[0], bundle.mount);
    break;
  }
  return text;
}

std::string Json(const std::vector<RunningBundle>& bundles) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const RunningBundle& bundle : bundles) {
    nlohmann::ordered_json json = {
        {"name", bundle.name}, {"image_id", bundle.image_id},
        {"mode", bundle.mode}, {"mount", bundle.mount},
        {"pids", bundle.pids}, {"uptime", static_cast<std::uint64_t>(bundle.uptime)},
    };
    if (!bundle.pids.empty())
      json["inside"] = fmt::format("/proc/{}/root{}", bundle.pids[0], bundle.mount);
    if (const auto& figures = bundle.figures) {
      json["requests"] = figures->requests;
      json["cache"] = {{"hits", figures->cache_hits}, {"misses", figures->cache_misses}};
      json["server"] = {{"pid", figures->server},
                        {"supervisor", figures->supervisor},
                        {"rss_bytes", figures->rss_bytes},
                        {"crashes", figures->deaths},
                        {"last_crash", figures->last_death}};
    }
    list.push_back(std::move(json));
  }
  return list.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void Define(CommandLine& line) {
  line.Flag("json",
            "as a JSON array of objects: name, image_id, mode, mount, pids, uptime, requests, "
            "cache, server, ...");
}

Result<int> Run(const Arguments& arguments) {
  auto bundles = TRY(FindRunningBundles());
  TRY(Print(arguments.Has("json") ? Json(bundles) : Table(bundles)));
  return kOk;
}

}  // namespace

constinit const Command kPsCommand = {
    .name = "ps",
    .summary = "list running bundles",
    .synopsis = "[--json]",
    .description =
        "Lists the running bundles of this user (root: of everybody), the oldest first, and how to "
        "look inside one of this user's.",
    .example =
        "  haft ps\n"
        "  haft ps --json",
    .define = Define,
    .run = Run,
};

}  // namespace haft::cli
