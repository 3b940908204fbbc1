// The text of allowed_signers and revoked_keys.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "haft/base/text.h"
#include "haft/trust/signers.h"
#include "wire.h"

namespace haft::trust {
namespace {

constexpr std::string_view kRevocationListMagic = "SSHKRL\n";

using Problem = std::string;  // "" if there is none

// Takes the next word of a line: what is between blanks, where quotes protect them. They stay.
std::optional<std::string_view> TakeWord(std::string_view& line) {
  line = Trim(line);
  bool quoted = false;
  std::size_t end = 0;
  for (; end < line.size(); ++end) {
    const char c = line[end];
    if (c == '"') quoted = !quoted;
    if (c == '\\' && quoted && end + 1 < line.size()) ++end;
    if (!quoted && kBlanks.contains(c)) break;
  }
  if (quoted) return std::nullopt;
  const std::string_view word = line.substr(0, end);
  line = Trim(line.substr(end));
  return word;
}

// The text in quotes, without the backslashes before quotes. nullopt: not in quotes.
std::optional<std::string> Unquoted(std::string_view text) {
  if (text.size() < 2 || !text.starts_with('"') || !text.ends_with('"')) return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return std::nullopt;
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '"') ++i;
    plain += text[i];
  }
  return plain;
}

// Whether a word is the name of a type of keys, of which haft knows two.
bool IsKeyType(std::string_view word) {
  constexpr auto kPrefixes =
      std::to_array<std::string_view>({"ssh-", "sk-", "ecdsa-", "rsa-", "webauthn-"});
  if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789@.-") != word.npos) return false;
  return std::ranges::any_of(kPrefixes, [&](auto prefix) { return word.starts_with(prefix); });
}

bool IsKnownKeyType(std::string_view word) {
  return word == kEd25519 || word == kHardwareEd25519;
}

// YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z or without.
std::optional<std::int64_t> ParseTime(std::string_view text) {
  if (text.ends_with('Z')) text.remove_suffix(1);
  if (text.size() != 8 && text.size() != 12 && text.size() != 14) return std::nullopt;
  if (text.find_first_not_of("0123456789") != text.npos) return std::nullopt;
  auto number = [&](std::size_t at, std::size_t size) {
    int value = 0;
    if (at < text.size()) std::from_chars(text.data() + at, text.data() + at + size, value);
    return value;
  };
  const std::chrono::year_month_day date(std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(4, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(6, 2))));
  const int hour = number(8, 2), minute = number(10, 2), second = number(12, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

Problem ParseOption(std::string_view option, AllowedKey& key) {
  const auto [written, value] = SplitOnce(option, '=');
  std::string name(written);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (name == "cert-authority") return "cert-authority: haft checks no certificates";
  const std::optional<std::string> text = Unquoted(value);
  const bool known = name == "namespaces" || name == "valid-after" || name == "valid-before";
  if (!known) return fmt::format("{}: unknown option", Quoted(written));
  if (!text) return fmt::format("{}: its value is not in quotes", name);
  if (name == "namespaces") {
    key.namespaces = *text;
    return "";
  }
  const std::optional<std::int64_t> time = ParseTime(*text);
  if (!time) return fmt::format("{}: not a date YYYYMMDD[HHMM[SS]][Z]", name);
  (name == "valid-after" ? key.valid_after : key.valid_before) = *time;
  return "";
}

// Options are separated by commas; those in quotes belong to a value.
Problem ParseOptions(std::string_view options, AllowedKey& key) {
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= options.size(); ++i) {
    if (i < options.size() && options[i] == '"') quoted = !quoted;
    if (i < options.size() && options[i] == '\\' && quoted) ++i;
    if (i < options.size() && (quoted || options[i] != ',')) continue;
    if (Problem problem = ParseOption(options.substr(begin, i - begin), key); !problem.empty())
      return problem;
    begin = i + 1;
  }
  return "";
}

// "TYPE BASE64 [COMMENT]". False: of a type that haft cannot check.
Result<bool> ParseKey(std::string_view type, std::string_view rest, PublicKey& key) {
  if (!IsKeyType(type)) return Failure(Error::Invalid("no key"));
  if (!IsKnownKeyType(type)) return false;
  const std::vector<std::string_view> words = Words(rest);
  const std::optional<std::string> blob =
      words.empty() ? std::nullopt : DecodeBase64(words.front());
  if (!blob || WireReader(*blob).String() != type) return Failure(Error::Invalid("key is damaged"));
  key = TRY(ParsePublicKey(*blob));
  return true;
}

Result<bool> ParseLine(std::string_view line, AllowedKey& key) {
  const auto invalid = [](Problem problem) { return Failure(Error::Invalid(std::move(problem))); };
  const std::optional<std::string_view> principals = TakeWord(line);
  if (!principals) return invalid("a quote is not closed");
  key.principals =
      principals->starts_with('"') ? Unquoted(*principals).value_or("") : std::string(*principals);
  if (key.principals.empty()) return invalid("no principals");
  std::optional<std::string_view> word = TakeWord(line);
  if (!word) return invalid("a quote is not closed");
  if (!word->empty() && !IsKeyType(*word)) {
    if (Problem problem = ParseOptions(*word, key); !problem.empty())
      return invalid(std::move(problem));
    word = TakeWord(line);
  }
  return ParseKey(word.value_or(""), line, key.key);
}

// Calls `parse` with each line that is not blank or a comment, and says where it is wrong.
Result<> ForEachLine(std::string_view text, std::string_view file,
                     const std::function<Result<>(std::string_view)>& parse) {
  std::size_t number = 0;
  for (const std::string_view line : Lines(text)) {
    ++number;
    const std::string_view trimmed = Trim(line);
    if (trimmed.empty() || trimmed.starts_with('#')) continue;
    TRY_WITHIN(fmt::format("{}:{}", file, number), parse(trimmed));
  }
  return {};
}

}  // namespace

Result<std::vector<AllowedKey>> ParseAllowedSigners(std::string_view text, std::string_view file) {
  std::vector<AllowedKey> keys;
  TRY(ForEachLine(text, file, [&](std::string_view line) -> Result<> {
    AllowedKey key = {};
    if (TRY(ParseLine(line, key))) keys.push_back(std::move(key));
    return {};
  }));
  return keys;
}

Result<std::vector<PublicKey>> ParseRevokedKeys(std::string_view text, std::string_view file) {
  if (text.starts_with(kRevocationListMagic)) {
    return Failure(Error::Invalid(fmt::format("{}: a binary revocation list", file))
                       .Remedy("list the public keys, one on each line"));
  }
  std::vector<PublicKey> keys;
  TRY(ForEachLine(text, file, [&](std::string_view line) -> Result<> {
    PublicKey key = {};
    const std::string_view type = line.substr(0, line.find_first_of(kBlanks));
    line.remove_prefix(type.size());
    if (TRY(ParseKey(type, line, key))) keys.push_back(std::move(key));
    return {};
  }));
  return keys;
}

}  // namespace haft::trust
