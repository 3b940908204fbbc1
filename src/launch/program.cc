#include "haft/launch/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "haft/base/path.h"
#include "haft/base/process.h"
#include "haft/base/text.h"
#include "haft/base/variables.h"
#include "haft/format/entry_script.h"
#include "haft/format/image_paths.h"
#include "overrides.h"
#include "python_code.h"

namespace haft {
namespace {

using format::Entry;
using format::EntryKind;
using format::Manifest;

// Not a file in the mount: Python takes a script it cannot read for an empty one and ends with
// status 0. The directory that -c puts first on sys.path, the current one, goes before anything is
// imported. Without a server there is no `_haft`: to Python any error of a directory is "no such
// module". One line, for those who read ps.
std::string StartLine() {
  std::string_view code = StartCode().front().bytes;
  return std::string(code.substr(0, code.find_last_not_of('\n') + 1));
}

std::string InMount(const Manifest& manifest, std::string_view path) {
  return path.empty() ? manifest.mount : fmt::format("{}/{}", manifest.mount, path);
}

// The components of a PYTHONPATH that are neither empty (the working directory) nor put there by a
// bundle: a program of one bundle that starts another, or itself, does not hand its packages on.
std::vector<std::string_view> UsersDirectories(std::string_view python_path) {
  std::vector<std::string_view> directories;
  std::string ours;  // "/run/haft/other/" once its bootstrap has been seen
  for (std::string_view directory : Split(python_path, ':')) {
    if (const auto mount = format::MountOfBootstrap(directory)) {
      ours = fmt::format("{}/", *mount);
    } else if (!directory.empty() &&
               (ours.empty() || !fmt::format("{}/", directory).starts_with(ours))) {
      directories.push_back(directory);
    }
  }
  return directories;
}

bool BringsPython(const Manifest& manifest) {
  return !manifest.python.path.empty() && manifest.python.path[0] != '/';
}

// A bundle with an interpreter of its own is one for its children as well: like a virtual
// environment it comes first in PATH. Its OpenSSL finds its modules by name only through a
// variable.
void PointToBundledPython(const Manifest& manifest, Environment& environment) {
  PrependToPath(environment, {InMount(manifest, std::string(DirName(manifest.python.path)))});
  if (!environment.Get("OPENSSL_MODULES"))
    environment.Set("OPENSSL_MODULES", InMount(manifest, format::kOpensslModules));
}

void ChangeEnvironment(const Manifest& manifest, const std::string& bundle,
                       Environment& environment) {
  if (manifest.ignore_environment) environment.UnsetAll("PYTHON");
  for (const std::string& name : manifest.unset) environment.Unset(name);
  for (const format::Variable& variable : manifest.environment)
    environment.Set(variable.name, variable.value);
  std::string python_path = InMount(manifest, format::kBootstrapDirectory);
  for (const std::string& path : manifest.paths)
    python_path += fmt::format(":{}", InMount(manifest, path));
  const std::string old(environment.Get("PYTHONPATH").value_or(""));
  for (std::string_view directory : UsersDirectories(old))
    python_path += fmt::format(":{}", directory);
  environment.Set("PYTHONPATH", python_path);
  if (manifest.isolated) environment.Set("PYTHONNOUSERSITE", "1");
  if (bundle.empty()) {
    environment.Unset(variables::kBundle);
  } else {
    environment.Set(variables::kBundle, bundle);
  }
}

// What Python itself runs, where nothing of haft's has to run in between: its words, after those
// that tell _haft.begin_program() how the program was called; empty: run_program() is needed.
std::vector<std::string> ForPython(const Manifest& manifest, const EntryChoice& choice,
                                   const std::string& invoked_as) {
  const Entry& entry = choice.entry;
  if (!manifest.preamble.empty()) return {};
  auto words = [&](std::string_view kind, std::initializer_list<std::string> more) {
    std::vector<std::string> all = {"-X", fmt::format("haft={}:{}", kind, invoked_as)};
    all.insert(all.end(), more);
    return all;
  };
  if (entry.kind == EntryKind::kModule && !choice.module_or_function)
    return words("module", {"-m", entry.module});
  if (entry.kind == EntryKind::kFunction && (choice.built_in || !entry.script.empty())) {
    const std::string script = format::ScriptOf(manifest, entry);
    if (!script.empty()) return words("entry", {InMount(manifest, script)});
  }
  if (entry.kind == EntryKind::kFunction || entry.kind == EntryKind::kModule) {
    const std::string target =
        entry.function.empty() ? entry.module : fmt::format("{}:{}", entry.module, entry.function);
    return words("entry", {"-X", fmt::format("haft_entry={}", target),
                           InMount(manifest, format::kEntryScript)});
  }
  if (entry.kind == EntryKind::kScript && entry.python && BaseName(entry.file) != "__main__.py")
    return words("script", {InMount(manifest, entry.file)});
  return {};
}

// The two words that tell _haft.run_program() what to run.
std::pair<std::string, std::string> ForBootstrap(const Manifest& manifest,
                                                 const EntryChoice& choice) {
  const Entry& entry = choice.entry;
  switch (entry.kind) {
    case EntryKind::kFunction:
      return {"function", fmt::format("{}:{}", entry.module, entry.function)};
    case EntryKind::kModule:
      return {choice.module_or_function ? "name" : "module", entry.module};
    case EntryKind::kScript:
      return {entry.python ? "script" : "execute", InMount(manifest, entry.file)};
    case EntryKind::kInterpreter:
    case EntryKind::kNone:
      break;
  }
  return {"interpreter", ""};
}

}  // namespace

Result<Program> MakeProgram(const Manifest& manifest, std::vector<std::string> argv,
                            Environment environment, const std::string& bundle) {
  const Overrides overrides = Overrides::Take(environment);
  const std::string invoked_as = argv.empty() ? manifest.name : argv[0];
  const EntryChoice choice = TRY(ChooseEntry(manifest, overrides, invoked_as));

  Program program;
  const bool bundled = BringsPython(manifest) && overrides.python.empty();
  // Also where a script that is not Python is run: its children may be.
  std::string python = bundled ? InMount(manifest, manifest.python.path) : std::string();
  const bool plain_script =
      choice.entry.kind == EntryKind::kScript && !choice.entry.python && manifest.preamble.empty();
  if (!bundled && !plain_script)
    python = TRY(ChooseInterpreter(manifest.python, environment, overrides.python));
  ChangeEnvironment(manifest, bundle, environment);
  if (bundled) PointToBundledPython(manifest, environment);

  std::vector<std::string>& arguments = program.arguments;
  if (plain_script) {
    environment.Unset(variables::kExecutable);  // no Python of ours takes it away
    program.path = InMount(manifest, choice.entry.file);
    arguments = {program.path};
  } else {
    program.path = python;
    arguments = {python};
    arguments.insert(arguments.end(), manifest.python_arguments.begin(),
                     manifest.python_arguments.end());
    // The interpreter on its own does all it does when it is started by hand.
    if (choice.entry.kind != EntryKind::kInterpreter || !manifest.preamble.empty()) {
      std::vector<std::string> words = ForPython(manifest, choice, invoked_as);
      if (words.empty()) {
        auto [kind, target] = ForBootstrap(manifest, choice);
        words = {"-X",
                 fmt::format("haft=code:{}", invoked_as),
                 "-c",
                 StartLine(),
                 std::move(kind),
                 std::move(target),
                 invoked_as};
      }
      arguments.insert(arguments.end(), std::make_move_iterator(words.begin()),
                       std::make_move_iterator(words.end()));
    } else if (!overrides.python.empty()) {
      // One that the bundle does not know: without this word it would be another environment.
      arguments.insert(arguments.end(), {"-X", fmt::format("haft=python:{}", invoked_as)});
    }
  }
  if (choice.built_in)
    arguments.insert(arguments.end(), manifest.arguments.begin(), manifest.arguments.end());
  for (std::size_t i = 1; i < argv.size(); ++i) arguments.push_back(std::move(argv[i]));
  program.environment = std::move(environment);
  return program;
}

Program MakeCommand(const Manifest& manifest, const std::vector<std::string>& programs,
                    std::vector<std::string> words, Environment environment,
                    const std::string& bundle) {
  static_cast<void>(Overrides::Take(environment));
  ChangeEnvironment(manifest, bundle, environment);
  if (BringsPython(manifest)) PointToBundledPython(manifest, environment);
  std::vector<std::string> directories;
  for (const std::string& directory : programs) directories.push_back(InMount(manifest, directory));
  PrependToPath(environment, directories);
  std::string path = words[0];
  return Program{.path = std::move(path),
                 .arguments = std::move(words),
                 .environment = std::move(environment),
                 .search = true};
}

void PrependToPath(Environment& environment, const std::vector<std::string>& directories) {
  if (directories.empty()) return;
  std::string path(environment.Get("PATH").value_or(kDefaultPath));
  environment.Set(
      "PATH", fmt::format("{}{}{}", fmt::join(directories, ":"), path.empty() ? "" : ":", path));
}

namespace {

// Of the paths tried so far, what to say if none can be executed: a file that is there but cannot
// be run counts.
Error TryToExecute(const std::vector<std::string>& paths, Program& program) {
  const std::vector<char*> arguments = Pointers(program.arguments);
  const std::vector<char*> environment = Pointers(program.environment.entries());
  int error = ENOENT;
  for (const std::string& path : paths) {
    ::execve(path.c_str(), arguments.data(), environment.data());
    if (errno == ENOEXEC && program.search) {
      std::string shell = "/bin/sh", script = path;
      std::vector<char*> with_shell = {shell.data(), script.data()};
      with_shell.insert(with_shell.end(), arguments.begin() + 1, arguments.end());
      ::execve(shell.c_str(), with_shell.data(), environment.data());
    }
    if (errno == EACCES) error = EACCES;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) {
      error = errno;
      break;
    }
    if (paths.size() == 1) error = errno;
  }
  return Error::FromErrno(fmt::format("run {}", Quoted(program.path)), error);
}

}  // namespace

Error Execute(Program program) {
  std::vector<std::string> paths;
  if (program.search && program.path.find('/') == program.path.npos) {
    std::string_view path = program.environment.Get("PATH").value_or(kDefaultPath);
    if (!program.path.empty()) {
      for (std::string_view directory : Split(path, ':'))
        paths.push_back(JoinPath(directory, program.path));
    }
  } else {
    paths.push_back(program.path);
  }
  Error error = TryToExecute(paths, program);
  if (error.sys_errno() != E2BIG) return error;
  return std::move(error).Remedy("arguments and environment are too large");
}

int ExitStatusFor(const Error& error) {
  return error.sys_errno() == ENOENT || error.sys_errno() == ENOTDIR ? kExitNotFound
                                                                     : kExitNotExecutable;
}

}  // namespace haft
