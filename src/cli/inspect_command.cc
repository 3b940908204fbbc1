// info, extract: commands about a bundle as a whole.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "commands.h"
#include "haft/archive/recognised_archive.h"
#include "haft/archive/zip_image.h"
#include "haft/base/edit_distance.h"
#include "haft/base/file_io.h"
#include "haft/base/foreground.h"
#include "haft/base/interruption.h"
#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/base/utf8.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "haft/format/image_paths.h"
#include "haft/format/json.h"
#include "haft/format/limits.h"
#include "haft/format/runtime_libraries.h"
#include "haft/image/extract.h"
#include "haft/image/image_reader.h"
#include "haft/python/shebang.h"
#include "haft/stack/bundled_stack.h"
#include "input_file.h"
#include "output.h"
#include "progress_bar.h"

namespace haft::cli {
namespace {

using Libraries = std::vector<std::pair<std::string, std::string>>;

// Of .haft/stack.json: what --bundle-python and --bundle-httpd put in.
struct StackPackage {
  std::string name, version, license;
  std::vector<std::string> files;
};
struct StackContents {
  std::vector<StackPackage> packages;
  std::vector<std::string> other;  // files of no package
};

// The members that haft knows, in the order of docs/format.md. Others may be any number, and
// finding one of an ordered object takes time in proportion to that.
nlohmann::ordered_json Known(const format::Manifest& manifest) {
  auto json = nlohmann::ordered_json::parse(format::ToJson(manifest), nullptr, false);
  return json.is_object() ? json : nlohmann::ordered_json::object();  // texts that are not UTF-8
}

nlohmann::ordered_json AsJson(const StackContents& contents) {
  nlohmann::ordered_json json = {{"packages", nlohmann::ordered_json::array()},
                                 {"other", contents.other}};
  for (const StackPackage& package : contents.packages) {
    json["packages"].push_back({{"name", package.name},
                                {"version", package.version},
                                {"license", package.license},
                                {"files", package.files}});
  }
  return json;
}

std::string InfoJson(const format::BundleFile& bundle, const format::Manifest& manifest,
                     const Libraries& libraries, const std::optional<StackContents>& contents) {
  const format::Trailer& trailer = bundle.trailer;
  // The manifest's own members (name, mount, entry, python, …), then what the trailer tells.
  auto json = Known(manifest);
  json["kind"] = trailer.runtime_size == 0 ? "image" : "bundle";
  json["image_id"] = format::ToHex(trailer.root);
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
  auto& inside = json["libraries"] = nlohmann::ordered_json::object();
  for (const auto& [name, version] : libraries) inside[name] = version;
  if (contents) json["contents"] = AsJson(*contents);
  return json.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// What was chosen at build and is not as usual; a line each.
std::string Choices(const format::Manifest& manifest) {
  std::vector<std::string_view> names, words;
  for (const format::Entry& script : manifest.scripts) names.push_back(script.script);
  if (manifest.isolated) words.push_back("isolated");
  if (manifest.ignore_environment) words.push_back("ignores PYTHON* variables");
  if (manifest.multi_call) words.push_back("multi-call");
  if (!manifest.preamble.empty()) words.push_back("preamble");
  std::string text;
  if (names.size() > 1) text += fmt::format("scripts      {}\n", Listed(names));
  if (!words.empty()) text += fmt::format("start        {}\n", fmt::join(words, ", "));
  if (!manifest.build_id.empty())
    text += fmt::format("build id     {}\n", Quoted(manifest.build_id));
  return text;
}

std::string InfoText(const format::BundleFile& bundle, const format::Manifest& manifest,
                     const Libraries& libraries) {
  const format::Trailer& trailer = bundle.trailer;
  std::vector<std::string> inside;
  for (const auto& [name, version] : libraries)
    inside.push_back(fmt::format("{} {}", name, version));
  return fmt::format(
      "name         {}\nentry        {}\npython       {} ({}, {})\nmounted at   {}\n{}image id     "
      "{}\n"
      "files        {} ({})\nimage        {} at offset {} ({} blocks, index {})\nruntime      "
      "{}\n{}"
      "format       {}.{}, written by {}\n",
      manifest.name, Shown(format::Describe(manifest.entry)), Shown(manifest.python.path),
      Shown(manifest.python.version), Shown(manifest.python.soabi), manifest.mount,
      Choices(manifest), format::ToHex(trailer.root), trailer.file_count,
      ShownSize(trailer.content_size), ShownSize(trailer.image_size), bundle.image_offset,
      trailer.block_count, ShownSize(bundle.index_size()),
      trailer.runtime_size == 0 ? "none" : ShownSize(trailer.runtime_size),
      inside.empty() ? "" : fmt::format("libraries    {}\n", fmt::join(inside, ", ")),
      trailer.major, trailer.minor, Shown(manifest.builder));
}

// "" of anything but a text.
std::string Text(const nlohmann::json& object, const char* member) {
  auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::vector<std::string> Texts(const nlohmann::json& object, const char* member) {
  std::vector<std::string> texts;
  auto found = object.find(member);
  if (found == object.end() || !found->is_array()) return texts;
  for (const nlohmann::json& text : *found) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

// nullopt: the image has none.
Result<std::optional<StackContents>> ReadStackContents(UniqueFd image) {
  constexpr std::size_t kMostValues = 200'000;
  ImageReader reader = TRY(ImageReader::Open(std::move(image)));
  auto entry = reader.Resolve(format::kStackContents);
  if (!entry) return std::nullopt;
  if (entry->attributes.size > format::kMaxStackContentsSize)
    return Failure(Error::Corrupt(fmt::format("{}: too large", format::kStackContents)));
  std::string text(entry->attributes.size, '\0');
  TRY(reader.Read(entry->inode, 0, std::as_writable_bytes(std::span(text))));
  auto wanted = [](std::string_view member) { return member == "packages" || member == "other"; };
  const nlohmann::json json = TRY(format::ParseJsonObject(
      text, format::kStackContents, {.values = kMostValues, .wanted = wanted}));
  StackContents contents{.packages = {}, .other = Texts(json, "other")};
  auto packages = json.find("packages");
  if (packages == json.end() || !packages->is_array()) return contents;
  for (const nlohmann::json& package : *packages) {
    if (!package.is_object()) continue;
    contents.packages.push_back({.name = Text(package, "name"),
                                 .version = Text(package, "version"),
                                 .license = Text(package, "license"),
                                 .files = Texts(package, "files")});
  }
  return contents;
}

std::string StackText(const StackContents& contents) {
  std::string text;
  for (const StackPackage& package : contents.packages) {
    text += fmt::format("  {:<24} {:<24} {}\n", Shown(package.name), Shown(package.version),
                        package.license.empty()
                            ? fmt::format("see usr/share/doc/{}/copyright", Shown(package.name))
                            : Shown(package.license));
  }
  return text.empty() ? text : "brings along, by package, version and licences:\n" + text;
}

std::uint64_t FileCount(const ZipDirectory& directory) {
  auto is_file = [](const ZipEntry& entry) { return entry.type == ZipEntryType::kFile; };
  return static_cast<std::uint64_t>(std::ranges::count_if(directory.entries, is_file));
}

std::string InfoJson(const RecognisedArchive& found) {
  const ZipArchive& archive = *found.tree.archive;
  const ArchiveInfo& info = found.info;
  const ZipDirectory& directory = archive.directory();
  auto json = Known(info.manifest);
  for (const char* haft_only : {"mount", "builder"}) json.erase(haft_only);
  json["kind"] = NameOf(info.kind);
  json["python"] = {{"shebang", found.shebang}};
  if (!info.obstacle.empty()) json["obstacle"] = info.obstacle;
  json["files"] = FileCount(directory);
  json["bytes"] = directory.content_size;
  json["entries"] = directory.entries.size();
  json["archive_offset"] = directory.base;
  json["archive_size"] = FileSize(archive.fd()).value_or(directory.base) - directory.base;
  json["directory_digest"] = format::ToHex(directory.digest);
  return json.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string InfoText(const RecognisedArchive& found) {
  const ZipArchive& archive = *found.tree.archive;
  const ArchiveInfo& info = found.info;
  const ZipDirectory& directory = archive.directory();
  std::string text =
      fmt::format("name         {}\nkind         {}\nentry        {}\n", info.manifest.name,
                  NameOf(info.kind), Shown(format::Describe(info.manifest.entry)));
  if (!found.shebang.empty()) text += fmt::format("python       {}\n", Shown(found.shebang));
  if (!info.manifest.build_id.empty())
    text += fmt::format("build id     {}\n", Shown(info.manifest.build_id));
  if (!info.obstacle.empty()) text += fmt::format("cannot run   {}\n", Shown(info.obstacle));
  text += fmt::format("files        {} ({})\narchive      {} at offset {} ({} entries)\n",
                      FileCount(directory), ShownSize(directory.content_size),
                      ShownSize(FileSize(archive.fd()).value_or(directory.base) - directory.base),
                      directory.base, directory.entries.size());
  return text;
}

void DefineInfo(CommandLine& line) {
  line.Flag("json",
            "as one JSON object: kind, name, image_id, image_offset, image_size, files, bytes, "
            "entry, python, ...")
      .Positional({"FILE"}, 1);
}

Result<int> RunInfo(const Arguments& arguments) {
  InputFile input = TRY(OpenInputConfined(arguments.Get("FILE")));
  const bool json = arguments.Has("json");
  if (input.archive) {
    const RecognisedArchive found = TRY(RecogniseArchive(std::move(input.archive)));
    TRY(Print(json ? InfoJson(found) : InfoText(found)));
    return kOk;
  }
  auto text = [&]() -> Result<std::string> {
    const format::BundleFile& bundle = input.bundle;
    format::Manifest manifest = TRY(format::ReadManifest(input.image.get(), bundle));
    const Libraries libraries =
        TRY(format::ReadRuntimeLibraries(input.image.get(), bundle.trailer.runtime_size));
    // Only then blocks are read: info works on a bundle with damaged contents.
    const bool brings = !manifest.python.path.empty() && manifest.python.path[0] != '/';
    std::optional<StackContents> contents;
    if (brings) contents = TRY(ReadStackContents(std::move(input.image)));
    if (json) return InfoJson(bundle, manifest, libraries, contents);
    return InfoText(bundle, manifest, libraries) + (contents ? StackText(*contents) : "");
  }();
  if (!text) return Failure(std::move(text).error().Within(Quoted(input.path)));
  TRY(Print(*text));
  return kOk;
}

void DefineExtract(CommandLine& line) {
  line.Positional({"FILE", "DIR"}, 2);
}

Result<int> RunExtract(const Arguments& arguments) {
  const std::string& directory = arguments.Get("DIR");
  ImageReader reader = TRY(OpenImageToExtract(arguments.Get("FILE"), ParentDirectory(directory)));
  auto extracted = [&] {
    const Interruption interruption;
    ProgressBar bar;
    std::uint64_t total = reader.bundle().trailer.content_size;
    return ExtractImage(reader, directory,
                        [&](std::uint64_t done) { bar.Show("extract", done, total, "bytes"); });
  }();
  const int signal = Interruption::Signal();
  if (!extracted && signal != 0) EndBySignal(signal);  // the half-made copy is gone
  TRY(std::move(extracted));
  return kOk;
}

}  // namespace

constinit const Command kInfoCommand = {
    .name = "info",
    .summary = "tell what a bundle is: name, entry, interpreter, sizes",
    .synopsis = "[OPTION...] FILE",
    .description = "Tells what a bundle or zip archive is, without reading its contents.",
    .example = "  haft info --json certbot",
    .define = DefineInfo,
    .run = RunInfo,
};

constinit const Command kExtractCommand = {
    .name = "extract",
    .summary = "copy a bundle's files into a directory",
    .synopsis = "FILE DIR",
    .description =
        "Copies all files of a bundle or zip archive into DIR, which must not exist or be empty. "
        "It appears complete or not at all.",
    .example = "  haft extract certbot /tmp/certbot-files",
    .define = DefineExtract,
    .run = RunExtract,
};

}  // namespace haft::cli
