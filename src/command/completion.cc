#include "haft/command/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include "haft/base/embedded_file.h"

namespace haft {
std::span<const EmbeddedFile> CompletionFiles();  // haft.bash, haft.fish, haft.zsh, inside.sh
}

namespace haft::cli {
namespace {

std::string_view Part(std::string_view name) {
  return std::ranges::find(CompletionFiles(), name, &EmbeddedFile::name)->bytes;
}

// The file with what stands for its marks.
std::string Filled(std::string_view file,
                   std::initializer_list<std::pair<std::string_view, std::string_view>> marks) {
  std::string text(Part(file));
  for (auto [mark, by] : marks) {
    if (by.ends_with('\n')) by.remove_suffix(1);
    text.replace(text.find(mark), mark.size(), by);
  }
  return text;
}

// What stands for a placeholder: "file", "dir", "path" (inside the bundle that is the first word),
// "pid", "program", or the choices "a|b" themselves; "none": nobody can know.
std::string KindOf(std::string_view placeholder) {
  if (placeholder.ends_with("...")) placeholder.remove_suffix(3);
  if (placeholder.find('|') != placeholder.npos) return std::string(placeholder);
  if (placeholder == "FILE" || placeholder == "OUT" || placeholder == "ARGUMENT") return "file";
  if (placeholder == "DIR") return "dir";
  if (placeholder == "PATH") return "path";
  if (placeholder == "PID") return "pid";
  if (placeholder == "PYTHON" || placeholder == "WORD") return "program";
  return "none";
}

std::string Replaced(std::string_view text, std::string_view special, std::string_view by) {
  std::string result;
  for (char c : text) {
    if (special.find(c) == special.npos) {
      result += c;
    } else {
      result += fmt::format(fmt::runtime(by), c);
    }
  }
  return result;
}

// In single quotes, for a POSIX shell.
std::string ShellText(std::string_view text) {
  return fmt::format("'{}'", Replaced(text, "'", "'\\{}'"));
}

std::string Names(Commands commands) {
  std::string names;
  for (const Command* command : commands)
    names += fmt::format("{}{}", names.empty() ? "" : " ", command->name);
  return names;
}

// --- bash ---

// Sets what the function below looks at.
std::string BashCase(const Command& command) {
  const CommandLine line = LineOf(command);
  std::string options, values = " ", kinds;
  for (const Option& option : line.options()) {
    options += fmt::format("{}--{}", options.empty() ? "" : " ", option.name);
    if (option.IsFlag()) continue;
    const std::string kind = KindOf(option.placeholder);
    values += fmt::format("--{}={} ", option.name, kind);
    if (!option.letter.empty()) values += fmt::format("-{}={} ", option.letter, kind);
  }
  for (const std::string& name : line.positional())
    kinds += fmt::format("{}{}", kinds.empty() ? "" : " ", ShellText(KindOf(name)));
  return fmt::format(
      "    {})\n      options={}\n      values={}\n      kinds=({}) last={} first={}\n"
      "      ;;\n",
      command.name, ShellText(options), ShellText(values), kinds,
      !line.positional().empty() && line.positional().back().ends_with("..."),
      line.options_first());
}

// --- zsh ---

// An action of _arguments.
std::string ZshAction(const std::string& kind) {
  if (kind == "file") return "_files";
  if (kind == "dir") return "_files -/";
  if (kind == "path") return "_haft_paths";
  if (kind == "pid") return "{compadd -- $(_haft_pids haft)}";
  if (kind == "program") return "_files";
  if (kind == "none") return " ";
  return fmt::format("({})", Replaced(kind, "|", " "));
}

std::string ZshSpec(const Option& option) {
  std::string text = fmt::format("[{}]", Replaced(option.help, "[]:", "\\{}"));
  if (!option.IsFlag()) {
    text += fmt::format(":{}:{}", Replaced(option.placeholder, ":", "\\{}"),
                        ZshAction(KindOf(option.placeholder)));
  }
  std::string specs;
  const std::string_view equals = option.IsFlag() ? "" : "=";
  const std::string_view joined = option.IsFlag() ? "" : "+";
  if (!option.letter.empty())
    specs += fmt::format(" \\\n        {}",
                         ShellText(fmt::format("*-{}{}{}", option.letter, joined, text)));
  return specs + fmt::format(" \\\n        {}",
                             ShellText(fmt::format("*--{}{}{}", option.name, equals, text)));
}

std::string ZshCase(const Command& command) {
  const CommandLine line = LineOf(command);
  std::string text = fmt::format("    {})\n      _arguments -s -S", command.name);
  for (const Option& option : line.options()) text += ZshSpec(option);
  for (std::size_t i = 0; i < line.positional().size(); ++i) {
    const std::string& name = line.positional()[i];
    std::string which = name.ends_with("...") ? "*" : fmt::format("{}", i + 1);
    text += fmt::format(" \\\n        {}",
                        ShellText(fmt::format("{}:{}:{}", which, name, ZshAction(KindOf(name)))));
  }
  return text + "\n      ;;\n";
}

// --- fish ---

std::string FishText(std::string_view text) {
  return fmt::format("'{}'", Replaced(text, "'\\", "\\{}"));
}

// What `complete` is told about a value or word.
std::string FishAction(const std::string& kind) {
  if (kind == "file" || kind == "program") return " -F";
  if (kind == "dir") return " -a '(__fish_complete_directories)'";
  if (kind == "path") return " -a '(__haft_inside)'";
  if (kind == "pid")
    return " -a \"(haft ps 2>/dev/null | string match -r '^ *[0-9]+' | string trim)\"";
  if (kind == "none") return "";
  return fmt::format(" -a '{}'", Replaced(kind, "|", " "));
}

std::string FishLines(const Command& command) {
  std::string text = fmt::format("complete -c haft -n __fish_use_subcommand -a {} -d {}\n",
                                 command.name, FishText(command.summary));
  const CommandLine line = LineOf(command);
  const std::string here =
      fmt::format("complete -c haft -n '__fish_seen_subcommand_from {}'", command.name);
  for (const Option& option : line.options()) {
    text += here;
    if (!option.letter.empty()) text += " -s " + option.letter;
    text += " -l " + option.name;
    if (!option.IsFlag()) text += " -r" + FishAction(KindOf(option.placeholder));
    text += fmt::format(" -d {}\n", FishText(option.help));
  }
  // fish does not count words: all are offered what one of them may be.
  std::string seen;
  for (const std::string& name : line.positional()) {
    const std::string action = FishAction(KindOf(name));
    if (!action.empty() && seen.find(action) == seen.npos) text += here + action + "\n";
    seen += action;
  }
  return text;
}

}  // namespace

std::string BashCompletion(Commands commands) {
  std::string cases;
  for (const Command* command : commands) cases += BashCase(*command);
  return Filled(
      "haft.bash",
      {{"# @INSIDE@", Part("inside.sh")}, {"@NAMES@", Names(commands)}, {"  # @CASES@", cases}});
}

std::string ZshCompletion(Commands commands) {
  std::string names, cases;
  for (const Command* command : commands) {
    names += fmt::format(
        "    {}\n",
        ShellText(fmt::format("{}:{}", command->name, Replaced(command->summary, ":", "\\{}"))));
    cases += ZshCase(*command);
  }
  return Filled(
      "haft.zsh",
      {{"# @INSIDE@", Part("inside.sh")}, {"    # @NAMES@", names}, {"  # @CASES@", cases}});
}

std::string FishCompletion(Commands commands) {
  std::string lines;
  for (const Command* command : commands) lines += FishLines(*command);
  return Filled("haft.fish", {{"# @CASES@", lines}});
}

}  // namespace haft::cli
