#include "haft/command/manual.h"

#include <fmt/format.h>

#include <string_view>

#include "haft/base/text.h"

namespace haft::cli {
namespace {

constexpr std::string_view kPurpose =
    "turn a Python application into one executable file, run it, look inside";
constexpr std::string_view kExample =
    "  haft build --site-packages DIR -c certbot -o certbot && ./certbot --version\n";

// Text of a manual page: nothing in it is a request or an escape of roff, and a dash can be copied.
std::string Roff(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    const bool begins_line = escaped.empty() || escaped.back() == '\n';
    if (begins_line && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string Bold(std::string_view text) {
  return fmt::format("\\fB{}\\fR", Roff(text));
}

std::string OptionEntry(const Option& option) {
  std::string names = option.letter.empty() ? "" : Bold("-" + option.letter) + ", ";
  names += Bold("--" + option.name);
  if (!option.IsFlag()) names += fmt::format(" \\fI{}\\fR", Roff(option.placeholder));
  return fmt::format(".TP\n{}\n{}\n", names, Roff(option.help));
}

// The lines of `haft NAME …`, as one paragraph each.
std::string Synopsis(const Command& command) {
  std::string text;
  for (std::string_view form : Split(command.synopsis, '\n'))
    text += fmt::format("{} {}\n.br\n", Bold(fmt::format("haft {}", command.name)), Roff(form));
  return text;
}

std::string CommandSection(const Command& command) {
  std::string text = fmt::format(".SS \"haft {}\"\n{}.PP\n{}\n", command.name, Synopsis(command),
                                 Roff(command.description));
  const CommandLine line = LineOf(command);
  for (const Option& option : line.options()) {
    if (option.name != "help") text += OptionEntry(option);
  }
  return text + fmt::format(".PP\nExample:\n.PP\n.nf\n{}\n.fi\n", Roff(command.example));
}

}  // namespace

std::string Overview(Commands commands) {
  std::string text =
      "haft turns a Python application into one executable file and runs it without unpacking it\n"
      "usage: haft COMMAND [OPTION...] [WORD...]\n\ncommands:\n";
  for (const Command* command : commands)
    text += fmt::format("  {:<11}{}\n", command->name, command->summary);
  return text + fmt::format(
                    "\n'haft COMMAND --help' tells more; 'haft --version' prints the "
                    "version\n\nExample:\n{}",
                    kExample);
}

std::string ManPage(Commands commands) {
  std::string text = fmt::format(
      ".\\\" Made by 'haft help --man'.\n.TH HAFT 1 \"\" \"haft {}\"\n"
      ".SH NAME\nhaft \\- {}\n.SH SYNOPSIS\n",
      Roff(HAFT_VERSION), Roff(kPurpose));
  for (const Command* command : commands) text += Synopsis(*command);
  text += ".SH COMMANDS\nEvery command has\n.B \\-\\-help\n.\n";
  for (const Command* command : commands) text += CommandSection(*command);
  return text +
         ".SH EXIT STATUS\n"
         ".TP\n0\ndone\n"
         ".TP\n1\nfailed; one line on standard error says why\n"
         ".TP\n2\nthe command line is wrong\n"
         ".PP\nA bundle, \\fBhaft run\\fR, \\fBhaft exec\\fR and \\fBhaft shell\\fR exit as their "
         "program does, or with\n"
         ".TP\n125\nit could not be started\n"
         ".TP\n126\nthe interpreter or command could not be executed\n"
         ".TP\n127\nthe interpreter disappeared, or the command does not exist\n";
}

}  // namespace haft::cli
