// run, exec, shell: this process becomes a program that sees a bundle's files.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "attach.h"
#include "commands.h"
#include "haft/base/file_io.h"
#include "haft/base/limits.h"
#include "haft/base/path.h"
#include "haft/base/variables.h"
#include "haft/start/start.h"
#include "start_file.h"

namespace haft::cli {
namespace {

bool HasProgram(const StartImage& image, const std::vector<std::string>& directories,
                const std::string& name) {
  return std::ranges::any_of(directories, [&](const std::string& directory) {
    return image.reader.Resolve(fmt::format("{}/{}", directory, name)).has_value();
  });
}

// A command: a file of the bundle's bin directories, one of its console scripts, or what PATH has.
Result<Program> MakeExecProgram(const StartImage& image, std::vector<std::string> words,
                                Environment environment) {
  const std::vector<std::string> directories = ProgramDirectories(image);
  const std::string& name = words[0];
  bool is_script = std::ranges::find(image.manifest.scripts, name, &format::Entry::script) !=
                   image.manifest.scripts.end();
  if (!is_script || HasProgram(image, directories, name)) {
    return MakeCommand(image.manifest, directories, std::move(words), std::move(environment),
                       image.path);
  }
  std::vector<std::string> programs;
  for (const std::string& directory : directories)
    programs.push_back(fmt::format("{}/{}", image.manifest.mount, directory));
  PrependToPath(environment, programs);
  for (std::string_view other : {variables::kInterpreter, variables::kEntryPoint})
    environment.Unset(other);
  environment.Set(variables::kScript, name);
  return MakeProgram(image.manifest, std::move(words), std::move(environment), image.path);
}

int StartWords(const std::string& file, std::vector<std::string> words) {
  return Start({.name = file,
                .open = [&](Environment& environment) { return OpenForStart(file, environment); },
                .make_program =
                    [&](const StartImage& image, Environment environment) {
                      return MakeExecProgram(image, words, std::move(environment));
                    }});
}

int AttachWords(pid_t pid, const std::vector<std::string>& words) {
  return RunAttached(pid, [&](const std::string&, Environment environment) -> Result<Program> {
    return Program{.path = words[0],
                   .arguments = words,
                   .environment = std::move(environment),
                   .search = true};
  });
}

// --- shell ---

// The name in the prompt. In a variable: no text of a bundle becomes code of a shell.
constexpr std::string_view kPromptName = "haft_prompt_name";

// bash reads the user's own settings, and then says where one is. The file has no name; bash closes
// it.
Result<std::string> PromptFile() {
  int fd = ::memfd_create("haft-shell", 0);
  if (fd < 0) return Failure(Error::FromErrno("memfd_create"));
  // Not a number that scripts use, and not what is closed by chance.
  int high = ::fcntl(fd, F_DUPFD, 100);
  ::close(fd);
  if (high < 0) return Failure(Error::FromErrno("dup"));
  const std::string script = fmt::format(
      "[ -f /etc/bash.bashrc ] && . /etc/bash.bashrc\n"
      "[ -f ~/.bashrc ] && . ~/.bashrc\n"
      "PS1=\"(${{{0}}}) $PS1\"\n"
      "unset {0}\n"
      "exec {1}<&-\n",
      kPromptName, high);
  const FileSizeLimit limit(FileSizeLimit::Files::kInMemory);
  TRY(WriteAllAt(high, AsBytes(script), 0));
  return fmt::format("/proc/self/fd/{}", high);
}

// The words that start the user's shell; its prompt begins with "(NAME)". `prompt_file` is made if
// it is needed and empty.
Result<std::vector<std::string>> ShellCommand(std::string_view name, Environment& environment,
                                              std::string& prompt_file) {
  std::string shell(environment.Get("SHELL").value_or(""));
  if (!shell.starts_with('/') || !IsExecutableFile(shell)) shell = "/bin/sh";
  std::vector<std::string> words = {shell};
  if (::isatty(STDIN_FILENO) == 0) return words;
  environment.Set("PS1", fmt::format("({}) $ ", name));
  if (BaseName(shell) == "bash") {
    environment.Set(kPromptName, name);
    if (prompt_file.empty()) prompt_file = TRY(PromptFile());
    words.insert(words.end(), {"--rcfile", prompt_file});
  }
  return words;
}

Result<Program> MakeShell(std::string_view name, Environment environment) {
  std::string prompt_file;
  std::vector<std::string> words = TRY(ShellCommand(name, environment, prompt_file));
  std::string path = words[0];
  return Program{.path = std::move(path),
                 .arguments = std::move(words),
                 .environment = std::move(environment),
                 .search = true};
}

int ShellIn(const std::string& file) {
  std::string prompt_file;
  return Start(
      {.name = file,
       .open = [&](Environment& environment) { return OpenForStart(file, environment); },
       .make_program = [&](const StartImage& image, Environment environment) -> Result<Program> {
         std::vector<std::string> words =
             TRY(ShellCommand(image.manifest.name, environment, prompt_file));
         return MakeCommand(image.manifest, ProgramDirectories(image), std::move(words),
                            std::move(environment), image.path);
       }});
}

int ShellAttached(pid_t pid) {
  return RunAttached(pid, [](const std::string& name, Environment environment) {
    return MakeShell(name, std::move(environment));
  });
}

void DefineRun(CommandLine& line) {
  line.Value("p,python", "PYTHON",
             "interpreter to use: a path, or a name in PATH [the file's own, else python3]")
      .Positional({"FILE", "ARGUMENT..."}, 1)
      .OptionsFirst();
}

Result<int> RunRun(const Arguments& arguments) {
  const std::string file = arguments.Get("FILE");
  std::vector<std::string> argv = arguments.All("ARGUMENT...");
  argv.insert(argv.begin(), file);
  return Start({.name = file,
                .open =
                    [&](Environment& environment) {
                      if (arguments.Has("python"))
                        environment.Set(variables::kPython, arguments.Get("python"));
                      return OpenForStart(file, environment);
                    },
                .make_program =
                    [&](const StartImage& image, Environment environment) {
                      return MakeProgram(image.manifest, argv, std::move(environment), image.path);
                    }});
}

void DefineExec(CommandLine& line) {
  line.Value("attach", "PID", "join a process of a running bundle instead of mounting a file")
      .Positional({"WORD..."}, 1)
      .OptionsFirst();
}

Result<int> RunExec(const Arguments& arguments) {
  std::vector<std::string> command = arguments.All("WORD...");
  const std::string file = command[0];
  if (!arguments.Has("attach")) {
    command.erase(command.begin());
    if (!command.empty() && command[0] == "--") command.erase(command.begin());
  }
  if (command.empty()) return Failure(UsageError("COMMAND is missing"));
  if (arguments.Has("attach")) return AttachWords(TRY(ParsePid(arguments.Get("attach"))), command);
  return StartWords(file, std::move(command));
}

void DefineShell(CommandLine& line) {
  line.Value("attach", "PID", "join a process of a running bundle instead of mounting a file")
      .Positional({"FILE"}, 0);
}

Result<int> RunShell(const Arguments& arguments) {
  if (arguments.Has("attach") == arguments.Has("FILE")) {
    return Failure(UsageError("either FILE or --attach PID says where"));
  }
  if (arguments.Has("attach")) return ShellAttached(TRY(ParsePid(arguments.Get("attach"))));
  return ShellIn(arguments.Get("FILE"));
}

}  // namespace

constinit const Command kRunCommand = {
    .name = "run",
    .summary = "start the program in a bundle or zip archive",
    .synopsis = "[-p PYTHON] FILE [ARGUMENT...]",
    .description =
        "Starts the program in a bundle, .pyz, .pex or other zip archive without unpacking it. "
        "Exits as it does.",
    .example =
        "  haft run old.pyz --version\n"
        "  HAFT_SCRIPT=tool haft run package.whl",
    .define = DefineRun,
    .run = RunRun,
};

constinit const Command kExecCommand = {
    .name = "exec",
    .summary = "run a command among a bundle's files",
    .synopsis = "FILE [--] COMMAND...\n--attach PID [--] COMMAND...",
    .description =
        "Runs a command that sees a bundle's files and packages, in a new mount of FILE or in that "
        "of a process: as the user of that process, and if that is another one, in a terminal and "
        "an environment of its own. Exits as it does.",
    .example =
        "  haft exec site.pyz -- apachectl configtest\n"
        "  haft exec --attach 4711 -- python3 -c 'import sys; print(sys.path)'",
    .define = DefineExec,
    .run = RunExec,
};

constinit const Command kShellCommand = {
    .name = "shell",
    .summary = "open a shell among a bundle's files",
    .synopsis = "FILE\n--attach PID",
    .description =
        "Opens $SHELL where a bundle's files and packages are seen. They disappear when it and "
        "what it started has ended.",
    .example = "  haft shell certbot",
    .define = DefineShell,
    .run = RunShell,
};

}  // namespace haft::cli
