#include "haft/python/pip.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "haft/base/file_io.h"
#include "haft/base/subprocess.h"
#include "installer.h"

namespace haft {
namespace {

struct Refused {
  std::string_view option;  // long, or short with one dash
  std::string_view why;
};
constexpr std::string_view kElsewhere = "haft chooses where pip installs";
constexpr std::array kRefused = {
    Refused{"-t", kElsewhere},
    Refused{"--target", kElsewhere},
    Refused{"-e", "a bundle cannot hold an editable installation"},
    Refused{"--editable", "a bundle cannot hold an editable installation"},
    Refused{"-d", kElsewhere},
    Refused{"--download", kElsewhere},
    Refused{"--user", kElsewhere},
    Refused{"--prefix", kElsewhere},
    Refused{"--root", kElsewhere},
};

bool Matches(std::string_view word, std::string_view option) {
  if (word == option) return true;
  if (option.starts_with("--")) return word.starts_with(option) && word[option.size()] == '=';
  return word.starts_with(option) && !word.starts_with("--");  // "-tDIR"
}

// Of the user, without what would send packages elsewhere.
std::vector<std::string> EnvironmentForPip(const std::string& temporary) {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    std::string_view text = *variable;
    bool drop = false;
    for (std::string_view name : {"PIP_TARGET=", "PIP_PREFIX=", "PIP_USER=", "PIP_ROOT=",
                                  "PIP_DRY_RUN=", "PIP_REQUIRE_VIRTUALENV=", "TMPDIR="}) {
      drop |= text.starts_with(name);
    }
    if (!drop) environment.emplace_back(text);
  }
  // These win over pip's configuration files, also where pip runs itself for a build system. An
  // empty one would not.
  for (const char* variable :
       {"PIP_USER=0", "PIP_ROOT=/", "PIP_DRY_RUN=0", "PIP_REQUIRE_VIRTUALENV=0"}) {
    environment.emplace_back(variable);
  }
  environment.push_back("TMPDIR=" + temporary);
  return environment;
}

Result<> ReplaceFile(const std::string& path, std::string_view text) {
  UniqueFd fd = TRY(OpenFile(path, O_WRONLY | O_TRUNC));
  return WriteAll(fd.get(), AsBytes(text));
}

// Takes out what depends on where the packages came from.
Result<> Normalise(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string path = entry.path().string();
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".dist-info")) continue;
    for (const char* file : {"/direct_url.json", "/uv_cache.json"}) {
      if (::unlink((path + file).c_str()) < 0) continue;
      std::string record = TRY(ReadWholeFile(path + "/RECORD"));
      TRY(ReplaceFile(path + "/RECORD", WithoutRecord(record, name + file)));
    }
  }
  if (error) return Failure(Error::FromErrno(Quoted(directory), error.value()));
  static_cast<void>(::unlink((directory + "/.lock").c_str()));  // uv's
  return {};
}

}  // namespace

Result<> CheckPipArguments(const std::vector<std::string>& arguments) {
  for (const std::string& word : arguments) {
    for (const Refused& refused : kRefused) {
      if (!Matches(word, refused.option)) continue;
      return Failure(
          Error(ErrorKind::kUsage, fmt::format("pip argument {}: {}", Quoted(word), refused.why))
              .Remedy("leave it out"));
    }
  }
  return {};
}

std::string WithoutRecord(std::string_view record, std::string_view file) {
  std::string rest;
  while (!record.empty()) {
    std::string_view line =
        record.substr(0, record.find('\n') == record.npos ? record.npos : record.find('\n') + 1);
    record.remove_prefix(line.size());
    if (!line.starts_with(file) || line.substr(file.size(), 1) != ",") rest += line;
  }
  return rest;
}

Result<PipInstall> PipInstall::Run(const PythonInterpreter& python,
                                   const std::vector<std::string>& arguments) {
  std::optional<Installer> installer = FindInstaller(python);
  if (!installer) {
    return Failure(Error(ErrorKind::kNotFound,
                         fmt::format("pip: {} has none, and neither has another Python in PATH",
                                     Quoted(python.target().path)))
                       .Remedy("install pip (Debian: apt-get install python3-pip) or uv"));
  }
  PipInstall install(TRY(WorkDirectory::Create()));
  const std::string target = install.directory(), temporary = install.work_.path() + "/tmp";
  for (const std::string& path : {target, temporary}) {
    // The mode becomes that of site-packages, whatever the umask.
    if (::mkdir(path.c_str(), 0755) < 0 || ::chmod(path.c_str(), 0755) < 0)
      return Failure(Error::FromErrno("mkdir " + Quoted(path)));
  }
  Command command{.program = std::move(installer->program),
                  .arguments = std::move(installer->arguments),
                  .environment = EnvironmentForPip(temporary)};
  command.arguments.insert(command.arguments.end(), {"--target", target});
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  ForegroundChild child = TRY(ForegroundChild::Start(command));
  const int status = TRY(child.Wait());
  if (status == 0) {
    TRY(Normalise(target));
    return install;
  }
  return Failure(
      Error::Invalid(fmt::format("pip: {}", DescribeStatus(status))).Remedy("pip says above why"));
}

}  // namespace haft
