#include "command_line.h"

// File names may contain commas.
#define CXXOPTS_VECTOR_DELIMITER '\0'
#include <fmt/format.h>

#include <charconv>
#include <cxxopts.hpp>
#include <set>

#include "haft/base/edit_distance.h"

namespace haft::cli {

struct CommandLine::Impl {
  std::string command;
  std::string usage;
  std::string example;
  cxxopts::Options options;
  std::set<std::string, std::less<>> flags;
  std::map<std::string, bool, std::less<>> names;  // short and long; whether it has a value
  std::vector<std::string> positional;

  void Note(std::string_view text, bool has_value) {
    std::size_t comma = text.find(',');
    if (comma != text.npos) names.emplace(text.substr(0, comma), has_value);
    names.emplace(text.substr(comma + 1), has_value);  // npos + 1 == 0
  }
  std::size_t minimum = 0;
  bool options_first = false;

  // How many of the words are options with their values, and a "--".
  std::size_t CountOptions(const std::vector<std::string>& words) const;
};

namespace {

// cxxopts writes typographic quotes.
std::string PlainQuotes(std::string text) {
  for (std::string_view quote : {"‘", "’"}) {
    for (std::size_t at; (at = text.find(quote)) != text.npos;) text.replace(at, quote.size(), "'");
  }
  if (text.starts_with("Option ")) text[0] = 'o';
  return text;
}

std::string QuotedIn(std::string text) {
  text = PlainQuotes(std::move(text));
  std::size_t begin = text.find('\'') + 1, end = text.rfind('\'');
  return end >= begin && begin > 0 ? text.substr(begin, end - begin) : text;
}

}  // namespace

std::size_t CommandLine::Impl::CountOptions(const std::vector<std::string>& words) const {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") return i + 1;
    if (!word.starts_with('-') || word == "-") return i;
    bool is_long = word.starts_with("--");
    // The value of "-p" and "--python" is the next word; "-pX" and "--python=X" have theirs.
    auto found = names.find(is_long ? word.substr(2) : word.substr(word.size() - 1));
    if (found != names.end() && found->second && (is_long || word.size() == 2)) ++i;
  }
  return words.size();
}

std::string Arguments::Get(std::string_view name) const {
  auto found = values.find(name);
  return found == values.end() ? "" : found->second.back();
}

std::vector<std::string> Arguments::All(std::string_view name) const {
  auto found = values.find(name);
  return found == values.end() ? std::vector<std::string>{} : found->second;
}

Error UsageError(std::string_view command, std::string message) {
  return Error(ErrorKind::kUsage, std::move(message))
      .Remedy(fmt::format("see 'haft {} --help'", command));
}

CommandLine::CommandLine(std::string command, std::string usage, std::string summary,
                         std::string example)
    : impl_(new Impl{.command = command,
                     .usage = std::move(usage),
                     .example = std::move(example),
                     .options = cxxopts::Options("haft " + command, std::move(summary)),
                     .flags = {},
                     .names = {},
                     .positional = {}}) {
  impl_->options.set_width(100);
  Flag("h,help", "show this");
}

CommandLine::~CommandLine() = default;

CommandLine& CommandLine::Flag(const std::string& names, const std::string& help) {
  impl_->options.add_options()(names, help);
  impl_->Note(names, false);
  impl_->flags.insert(names.substr(names.find(',') + 1));
  return *this;
}

CommandLine& CommandLine::Value(const std::string& names, const std::string& placeholder,
                                const std::string& help) {
  impl_->Note(names, true);
  impl_->options.add_options()(names, help, cxxopts::value<std::vector<std::string>>(),
                               placeholder);
  return *this;
}

CommandLine& CommandLine::Positional(std::vector<std::string> names, std::size_t minimum) {
  impl_->positional = std::move(names);
  impl_->minimum = minimum;
  return *this;
}

CommandLine& CommandLine::OptionsFirst() {
  impl_->options_first = true;
  return *this;
}

std::optional<bool> CommandLine::TakesNext(std::string_view word) const {
  if (word.size() < 2 || word[0] != '-') return std::nullopt;
  bool is_long = word[1] == '-';
  std::string_view name = is_long ? word.substr(2, word.find('=') - 2) : word.substr(1, 1);
  auto found = impl_->names.find(name);
  if (found == impl_->names.end() || (is_long && name.size() < 2)) return std::nullopt;
  bool attached = is_long ? word.find('=') != word.npos : word.size() > 2;
  return found->second && !attached;
}

std::vector<std::string_view> CommandLine::LongNames() const {
  std::vector<std::string_view> names;
  for (const auto& [name, has_value] : impl_->names) {
    if (name.size() > 1) names.push_back(name);
  }
  return names;
}

Error CommandLine::UnknownOption(std::string_view word, std::string_view hint) const {
  std::string_view name = word.substr(0, word.find('='));
  while (name.starts_with('-')) name.remove_prefix(1);
  auto nearest = name.size() > 1 ? Nearest(name, LongNames()) : std::nullopt;
  return Error(ErrorKind::kUsage, fmt::format("option {} does not exist", Quoted(word)))
      .Remedy(nearest ? fmt::format("did you mean '--{}'?", *nearest)
                      : fmt::format("{}see 'haft {} --help'", hint, impl_->command));
}

bool CommandLine::IsFlag(std::string_view long_name) const {
  return impl_->flags.contains(long_name);
}

Result<Arguments> CommandLine::Parse(const std::vector<std::string>& words) const {
  std::vector<const char*> argv = {"haft"};
  const std::size_t parsed_words =
      impl_->options_first ? std::min(impl_->CountOptions(words), words.size()) : words.size();
  for (std::size_t i = 0; i < parsed_words; ++i) argv.push_back(words[i].c_str());
  std::vector<std::string> rest;
  Arguments arguments;
  try {
    auto parsed = impl_->options.parse(static_cast<int>(argv.size()), argv.data());
    // cxxopts stores every value of a list as one element of one vector.
    for (const auto& option : parsed.arguments()) {
      if (impl_->flags.contains(option.key())) {
        arguments.values[option.key()] = {""};
      } else {
        arguments.values[option.key()].push_back(option.value());
      }
    }
    rest = parsed.unmatched();
    rest.insert(rest.end(), words.begin() + static_cast<std::ptrdiff_t>(parsed_words), words.end());
  } catch (const cxxopts::exceptions::no_such_option& exception) {
    std::string name = QuotedIn(exception.what());
    return Failure(UnknownOption((name.size() > 1 ? "--" : "-") + name, ""));
  } catch (const cxxopts::exceptions::exception& exception) {
    return Failure(UsageError(impl_->command, PlainQuotes(exception.what())));
  }
  arguments.help = arguments.Has("help");
  if (arguments.help) return arguments;
  auto usage_error = [&](std::string message) {
    return Failure(UsageError(impl_->command, std::move(message)));
  };
  for (std::size_t i = 0; i < rest.size(); ++i) {
    bool takes_rest = !impl_->positional.empty() && impl_->positional.back().ends_with("...");
    if (i >= impl_->positional.size() && !takes_rest) {
      return usage_error(fmt::format("unexpected word {}", Quoted(rest[i])));
    }
    arguments.values[impl_->positional[std::min(i, impl_->positional.size() - 1)]].push_back(
        rest[i]);
  }
  if (rest.size() < impl_->minimum)
    return usage_error(fmt::format("{} is missing", impl_->positional[rest.size()]));
  return arguments;
}

std::string CommandLine::Help() const {
  impl_->options.custom_help(impl_->usage);
  impl_->options.positional_help("");
  return fmt::format("{}\nExample:\n{}\n", impl_->options.help(), impl_->example);
}

Result<unsigned> ParseNumber(std::string_view option, std::string_view text, unsigned maximum) {
  unsigned number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > maximum) {
    return Failure(Error(ErrorKind::kUsage, fmt::format("{} {}: not a whole number from 1 to {}",
                                                        option, Quoted(text), maximum)));
  }
  return number;
}

}  // namespace haft::cli
