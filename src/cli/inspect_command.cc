// info, verify, extract: commands about a bundle as a whole.
#include <fcntl.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command_line.h"
#include "commands.h"
#include "haft/base/file_io.h"
#include "haft/base/log.h"
#include "haft/format/bundle_file.h"
#include "haft/format/checksum.h"
#include "haft/image/extract.h"
#include "haft/image/verify.h"
#include "progress_bar.h"

namespace haft::cli {
namespace {

std::string Size(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} bytes", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

std::string InfoJson(const format::BundleFile& bundle, const std::string& manifest_text) {
  const format::Trailer& trailer = bundle.trailer;
  // The manifest's own members (name, mount, entry, python, …), then what the trailer tells.
  auto json = nlohmann::ordered_json::parse(manifest_text, nullptr, false);
  if (!json.is_object()) json = nlohmann::ordered_json::object();
  json["image_id"] = format::ToHex(trailer.image_id);
  json["image_offset"] = bundle.image_offset;
  json["image_size"] = trailer.image_size;
  json["runtime_size"] = trailer.runtime_size;
  json["files"] = trailer.file_count;
  json["inodes"] = trailer.inode_count;
  json["bytes"] = trailer.content_size;
  json["blocks"] = trailer.block_count;
  json["block_size"] = trailer.block_size;
  json["index_size"] = bundle.index_size();
  json["format"] = fmt::format("{}.{}", trailer.major, trailer.minor);
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string InfoText(const format::BundleFile& bundle, const format::Manifest& manifest) {
  const format::Trailer& trailer = bundle.trailer;
  return fmt::format(
      "name         {}\nentry        {}\npython       {} ({}, {})\nmounted at   {}\nimage id     {}\n"
      "files        {} ({})\nimage        {} at offset {} ({} blocks, index {})\nruntime      {}\n"
      "format       {}.{}, written by {}\n",
      manifest.name, format::Describe(manifest.entry), manifest.python.path, manifest.python.version,
      manifest.python.soabi, manifest.mount, format::ToHex(trailer.image_id), trailer.file_count,
      Size(trailer.content_size), Size(trailer.image_size), bundle.image_offset, trailer.block_count,
      Size(bundle.index_size()), trailer.runtime_size == 0 ? "none" : Size(trailer.runtime_size), trailer.major,
      trailer.minor, manifest.builder);
}

}  // namespace

Result<int> RunInfo(const Words& words) {
  CommandLine line("info", "[OPTION...] FILE", "Tells what a bundle is, from its trailer and manifest alone.",
                   "  haft info --json certbot");
  line.Flag("json", "as one JSON object: name, image_id, image_offset, image_size, files, bytes, entry, python, ...")
      .Positional({"FILE"}, 1);
  Arguments arguments = TRY(line.Parse(words));
  if (arguments.help) {
    TRY(Print(line.Help()));
    return kOk;
  }
  std::string file = arguments.Get("FILE");
  UniqueFd fd = TRY(OpenFile(file, O_RDONLY));
  auto text = [&]() -> Result<std::string> {
    format::BundleFile bundle = TRY(format::LocateImage(fd.get()));
    format::Manifest manifest = TRY(format::ReadManifest(fd.get(), bundle));
    if (!arguments.Has("json")) return InfoText(bundle, manifest);
    return InfoJson(bundle, TRY(format::ReadManifestText(fd.get(), bundle)));
  }();
  if (!text) return Failure(std::move(text).error().Within(Quoted(file)));
  TRY(Print(*text));
  return kOk;
}

Result<int> RunVerify(const Words& words) {
  CommandLine line("verify", "FILE", "Reads every byte of a bundle and checks it. Exit status 1 if anything is damaged.",
                   "  haft verify certbot");
  line.Positional({"FILE"}, 1);
  Arguments arguments = TRY(line.Parse(words));
  if (arguments.help) {
    TRY(Print(line.Help()));
    return kOk;
  }
  std::string file = arguments.Get("FILE");
  UniqueFd fd = TRY(OpenFile(file, O_RDONLY));
  auto report = [&] {
    ProgressBar bar;
    return VerifyBundle(std::move(fd), [&](std::uint64_t done, std::uint64_t total) {
      bar.Show("verify", done, total, "bytes");
    });
  }();
  if (!report) return Failure(std::move(report).error().Within(Quoted(file)));
  for (const std::string& problem : report->problems) {
    Log(LogLevel::kError, "{}: {}", Quoted(file), problem);
  }
  if (!report->problems.empty()) return kFailed;
  TRY(Print(fmt::format("{}: good: {} files, {} blocks, {} checked\n", file, report->files, report->blocks,
                        Size(report->bytes))));
  return kOk;
}

Result<int> RunExtract(const Words& words) {
  CommandLine line("extract", "FILE DIR",
                   "Copies all files of a bundle into DIR, which must not exist or be empty. It appears complete or not at all.",
                   "  haft extract certbot /tmp/certbot-files");
  line.Positional({"FILE", "DIR"}, 2);
  Arguments arguments = TRY(line.Parse(words));
  if (arguments.help) {
    TRY(Print(line.Help()));
    return kOk;
  }
  ImageReader reader = TRY(OpenImage(arguments.Get("FILE")));
  ProgressBar bar;
  std::uint64_t total = reader.bundle().trailer.content_size;
  TRY(ExtractImage(reader, arguments.Get("DIR"),
                   [&](std::uint64_t done) { bar.Show("extract", done, total, "bytes"); }));
  return kOk;
}

}  // namespace haft::cli
