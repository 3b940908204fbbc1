#include <fmt/format.h>

#include "commands.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/utf8.h"
#include "haft/image/walk_image.h"
#include "input_file.h"
#include "output.h"

namespace haft::cli {
namespace {

// In UTC; beyond the years a calendar can tell, the number of seconds.
std::string Date(std::int64_t seconds) {
  const time_t time = seconds;
  tm date = {};
  std::array<char, 32> text = {};
  if (::gmtime_r(&time, &date) == nullptr) return fmt::format("{}", seconds);
  ::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &date);
  return text.data();
}

char TypeLetter(FileType type) {
  switch (type) {
    case FileType::kFile:
      return '-';
    case FileType::kDirectory:
      return 'd';
    case FileType::kSymlink:
      return 'l';
  }
  return '?';
}

std::string ModeText(const Attributes& attributes) {
  std::string text(1, TypeLetter(attributes.type));
  constexpr std::string_view kLetters = "rwxrwxrwx";
  for (unsigned i = 0; i < 9; ++i)
    text += (attributes.mode >> (8 - i) & 1) != 0 ? kLetters[i] : '-';
  if ((attributes.mode & 01000) != 0) text[9] = (attributes.mode & 1) != 0 ? 't' : 'T';
  return text;
}

class Lister {
 public:
  Lister(const ImageReader& reader, bool details, bool raw)
      : reader_(reader), details_(details), raw_(raw) {}

  Result<> Line(std::string_view name, const DirectoryEntry& entry) {
    std::string target;
    if (entry.attributes.type == FileType::kSymlink && details_) {
      target = fmt::format(" -> {}", TRY(reader_.ReadLink(entry.inode)));
    }
    if (details_) {
      out_ += fmt::format("{} {:>12} {} ", ModeText(entry.attributes), entry.attributes.size,
                          Date(entry.attributes.mtime));
    }
    const std::string text = std::string(name) + target;
    out_ += raw_ ? text : Shown(text);
    out_ += raw_ ? '\0' : '\n';
    return out_.size() < 65536 ? Result<>{} : Flush();
  }

  Result<> Directory(const DirectoryEntry& directory, bool recursive) {
    auto visit = [&](const DirectoryEntry& entry, const std::string& path) -> Result<WalkStep> {
      TRY(Line(path, entry));
      return recursive ? WalkStep::kContinue : WalkStep::kSkip;
    };
    return WalkImage(reader_, directory.inode, {.visit = visit});
  }

  Result<> Flush() { return Print(std::exchange(out_, {})); }

 private:
  const ImageReader& reader_;
  bool details_;
  bool raw_;  // for programs: names as they are, a NUL after each
  std::string out_;
};

// Follows a path's last component if it is a symlink within the image.
Result<DirectoryEntry> ResolveFollowing(const ImageReader& reader, std::string path) {
  for (int depth = 0; depth < 40; ++depth) {
    DirectoryEntry entry = TRY(reader.Resolve(path));
    if (entry.attributes.type != FileType::kSymlink) return entry;
    std::string target(TRY(reader.ReadLink(entry.inode)));
    if (target.starts_with('/')) {
      return Failure(Error::Invalid(fmt::format("{}: a symbolic link out of the image, to {}",
                                                Quoted(path), Quoted(target))));
    }
    path = JoinPath(DirName(path), target);
    // "a/b/../c" is "a/c": the image's directories are real ones.
    for (auto up = path.find("/../"); up != path.npos; up = path.find("/../")) {
      auto begin = up == 0 ? 0 : path.rfind('/', up - 1);
      begin = begin == path.npos ? 0 : begin + (up == 0 ? 0 : 1);
      path.erase(begin, up + 4 - begin);
    }
  }
  return Failure(Error(ErrorKind::kInvalidInput,
                       fmt::format("{}: too many symbolic links", Quoted(path)), ELOOP));
}

void DefineLs(CommandLine& line) {
  line.Flag("l,long", "mode, size in bytes, time (UTC) and target of links too")
      .Flag("0,null", "a NUL after each, and names as they are instead of escaped, for programs")
      .Flag("R,recursive", "everything below, as paths")
      .Positional({"FILE", "PATH"}, 1);
}

Result<int> RunLs(const Arguments& arguments) {
  ImageReader reader = TRY(OpenImageConfined(arguments.Get("FILE")));
  std::string path = arguments.Get("PATH");
  DirectoryEntry entry = TRY(reader.Resolve(path));
  Lister lister(reader, arguments.Has("long"), arguments.Has("null"));
  if (entry.attributes.type == FileType::kDirectory) {
    auto listed = lister.Directory(entry, arguments.Has("recursive"));
    TRY(lister.Flush());  // what comes before the damage
    TRY(std::move(listed));
  } else {
    TRY(lister.Line(path, entry));
    TRY(lister.Flush());
  }
  return kOk;
}

void DefineCat(CommandLine& line) {
  line.Positional({"FILE", "PATH..."}, 2);
}

Result<int> RunCat(const Arguments& arguments) {
  ImageReader reader = TRY(OpenImageConfined(arguments.Get("FILE")));
  for (const std::string& path : arguments.All("PATH...")) {
    DirectoryEntry entry = TRY(ResolveFollowing(reader, path));
    std::vector<Slice> slices;
    for (std::uint64_t offset = 0;;) {
      TRY_WITHIN(Quoted(path), reader.Read(entry.inode, offset, 1u << 20, slices));
      if (slices.empty()) break;
      for (const Slice& slice : slices) {
        TRY(Print(AsText(slice.bytes)));
        offset += slice.bytes.size();
      }
    }
  }
  return kOk;
}

}  // namespace

constinit const Command kLsCommand = {
    .name = "ls",
    .summary = "list the files in a bundle",
    .synopsis = "[OPTION...] FILE [PATH]",
    .description = "Lists a directory of a bundle or zip archive, or one file.",
    .example = "  haft ls -l certbot site-packages/certbot",
    .define = DefineLs,
    .run = RunLs,
};

constinit const Command kCatCommand = {
    .name = "cat",
    .summary = "print files of a bundle",
    .synopsis = "FILE PATH...",
    .description = "Prints files of a bundle or zip archive.",
    .example = "  haft cat certbot site-packages/certbot/__init__.py",
    .define = DefineCat,
    .run = RunCat,
};

}  // namespace haft::cli
