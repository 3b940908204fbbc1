#include "haft/install/installation.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <set>

#include "haft/base/atomic_file.h"
#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/launch/installed.h"

namespace haft::install {
namespace {

using format::Manifest;
using Names = std::set<std::string>;

constexpr std::size_t kPiece = 1u << 20;

// The paths of one installation.
struct Places {
  explicit Places(const std::string& prefix, const std::string& name)
      : home(fmt::format("{}/lib/haft/{}", prefix, name)),
        bundle(JoinPath(home, kInstalledFile)),
        inside(home + "/bin"),
        outside(prefix + "/bin"),
        target(fmt::format("../lib/haft/{}/bin/", name)) {}
  std::string home;
  std::string bundle;
  std::string inside;   // directory of the links to the file
  std::string outside;  // directory of the links that are in PATH
  std::string target;   // what the latter begin with
};

std::string TargetOf(const std::string& link) {
  char text[PATH_MAX];
  const ssize_t size = ::readlink(link.c_str(), text, sizeof text);
  return size < 0 ? "" : std::string(text, static_cast<std::size_t>(size));
}

Result<> MakeDirectories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0777) < 0 && errno != EEXIST)
      return Failure(Error::FromErrno(Quoted(part)));
    if (slash == path.npos) return {};
  }
}

// Replaces what is there at once.
Result<> MakeLink(const std::string& target, const std::string& path) {
  if (TargetOf(path) == target) return {};
  const std::string temporary = fmt::format("{}.haft-{}", path, ::getpid());
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) < 0)
    return Failure(Error::FromErrno(Quoted(path)));
  if (::rename(temporary.c_str(), path.c_str()) < 0) {
    const Error error = Error::FromErrno(Quoted(path));
    ::unlink(temporary.c_str());
    return Failure(error);
  }
  return {};
}

Names NamesOf(const std::string& directory) {
  Names names;
  DirectoryStream stream(directory);
  if (!stream) return names;
  while (const dirent* entry = stream.Next()) names.insert(entry->d_name);
  return names;
}

// The links in PREFIX/bin that are of this installation.
Names CommandsOf(const Places& places) {
  Names commands;
  for (const std::string& name : NamesOf(places.outside)) {
    if (TargetOf(JoinPath(places.outside, name)) == places.target + name) commands.insert(name);
  }
  return commands;
}

std::string OwnCommand(const Manifest& manifest) {
  return manifest.entry.script.empty() ? manifest.name : manifest.entry.script;
}

Names ScriptsOf(const Manifest& manifest) {
  Names names = {OwnCommand(manifest)};
  for (const format::Entry& script : manifest.scripts) {
    if (!script.script.contains('/')) names.insert(script.script);
  }
  return names;
}

Result<> CheckFree(const Places& places, const Names& commands) {
  const Names ours = CommandsOf(places);
  for (const std::string& name : commands) {
    const std::string path = JoinPath(places.outside, name);
    struct stat status;
    if (ours.contains(name) || ::lstat(path.c_str(), &status) < 0) continue;
    return Failure(Error::Invalid(fmt::format("{}: is there already, and no link to {}",
                                              Quoted(path), Quoted(places.bundle)))
                       .Remedy("remove it, or replace it with --force"));
  }
  return {};
}

Result<> Copy(int file, const std::string& path) {
  AtomicFile copy = TRY(AtomicFile::Create(path, 0777));
  const std::uint64_t size = TRY(FileSize(file));
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kPiece, size));
  for (std::uint64_t offset = 0; offset < size;) {
    const auto piece =
        std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), size - offset));
    TRY(ReadExactly(file, piece, offset));
    TRY_WITHIN(Quoted(path), WriteAll(copy.fd(), piece));
    offset += piece.size();
  }
  return copy.Commit();
}

Result<> RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return Failure(Error::FromErrno(Quoted(path)));
  return {};
}

}  // namespace

Result<Installation> Install(const Request& request) {
  if (!format::IsBundleName(request.name)) {
    return Failure(Error::Invalid(fmt::format(
        "name {}: not of the form [A-Za-z0-9._-], at most 64 bytes", Quoted(request.name))));
  }
  const Places places(request.prefix, request.name);
  const Names scripts = ScriptsOf(request.manifest);
  const Names commands = request.all ? scripts : Names{OwnCommand(request.manifest)};
  if (!request.force) TRY(CheckFree(places, commands));

  TRY(MakeDirectories(places.inside));
  TRY(MakeDirectories(places.outside));
  TRY(Copy(request.file, places.bundle));
  Names inside = scripts;
  for (std::string_view name : kInstalledInterpreters) inside.emplace(name);
  for (const std::string& name : inside)
    TRY(MakeLink(fmt::format("../{}", kInstalledFile), JoinPath(places.inside, name)));
  for (const std::string& name : commands)
    TRY(MakeLink(places.target + name, JoinPath(places.outside, name)));
  // What the version before had.
  for (const std::string& name : CommandsOf(places)) {
    if (!commands.contains(name)) TRY(RemoveFile(JoinPath(places.outside, name)));
  }
  for (const std::string& name : NamesOf(places.inside)) {
    if (!inside.contains(name)) TRY(RemoveFile(JoinPath(places.inside, name)));
  }
  return Installation{.name = request.name,
                      .bundle = places.bundle,
                      .commands = {commands.begin(), commands.end()}};
}

Result<std::vector<Installation>> List(const std::string& prefix) {
  std::vector<Installation> installed;
  for (const std::string& name : NamesOf(prefix + "/lib/haft")) {
    const Places places(prefix, name);
    if (!format::IsBundleName(name) || ::access(places.bundle.c_str(), F_OK) < 0) continue;
    const Names commands = CommandsOf(places);
    installed.push_back(
        {.name = name, .bundle = places.bundle, .commands = {commands.begin(), commands.end()}});
  }
  return installed;
}

Result<> Uninstall(const std::string& prefix, const std::string& name) {
  const Places places(prefix, name);
  if (!format::IsBundleName(name) || ::access(places.bundle.c_str(), F_OK) < 0) {
    return Failure(Error(ErrorKind::kNotFound,
                         fmt::format("{}: not installed below {}", Quoted(name), Quoted(prefix)))
                       .Remedy("see 'haft list'"));
  }
  for (const std::string& command : CommandsOf(places))
    TRY(RemoveFile(JoinPath(places.outside, command)));
  for (const std::string& link : NamesOf(places.inside))
    TRY(RemoveFile(JoinPath(places.inside, link)));
  ::rmdir(places.inside.c_str());
  TRY(RemoveFile(places.bundle));
  if (::rmdir(places.home.c_str()) < 0) return Failure(Error::FromErrno(Quoted(places.home)));
  return {};
}

}  // namespace haft::install
