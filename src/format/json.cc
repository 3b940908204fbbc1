#include "haft/format/json.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

namespace haft::format {
namespace {

using Json = nlohmann::json;

// Gets the parts of a text from the parser, one after another, and puts the document together.
// False ends the parser.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  Json& document() { return document_; }
  const char* problem() const { return problem_; }

  bool null() override { return Add(nullptr) != nullptr; }
  bool boolean(bool value) override { return Add(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return Add(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return Add(value) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override {
    return Add(value) != nullptr;
  }
  bool string(string_t& value) override { return Add(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return Open(Json::object()); }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(Json::array()); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    if (open_.size() == 1 && skipped_ == 0) skip_member_ = limits_.wanted && !limits_.wanted(name);
    member_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return Fail("not JSON");
  }

 private:
  bool Fail(const char* problem) {
    if (problem_ == nullptr) problem_ = problem;
    return false;
  }

  // Where the value is now: something that must not be used if it is of a member that nobody wants.
  Json* Add(Json value) {
    if (Skips()) return &unwanted_;
    if (++values_ > limits_.values) {
      Fail("too many values");
      return nullptr;
    }
    if (open_.empty()) return &(document_ = std::move(value));
    Json& parent = *open_.back();
    if (parent.is_array()) return &parent.emplace_back(std::move(value));
    return &(parent[std::exchange(member_, {})] = std::move(value));
  }

  bool Open(Json value) {
    if (open_.size() + skipped_ >= static_cast<std::size_t>(limits_.depth))
      return Fail("nested too deeply");
    if (Skips()) {
      ++skipped_;
      return true;
    }
    Json* added = Add(std::move(value));
    if (added == nullptr) return false;
    open_.push_back(added);
    return true;
  }

  bool Close() {
    if (skipped_ > 0) {
      --skipped_;
    } else {
      open_.pop_back();
    }
    return true;
  }

  bool Skips() const { return skipped_ > 0 || (open_.size() == 1 && skip_member_); }

  const JsonLimits& limits_;
  Json document_;
  Json unwanted_;
  std::vector<Json*> open_;  // objects and arrays that are not closed; their addresses stay
  std::size_t skipped_ = 0;  // not closed, inside a member that nobody wants
  bool skip_member_ = false;
  std::string member_;
  std::size_t values_ = 0;
  const char* problem_ = nullptr;
};

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view what, const JsonLimits& limits) {
  Builder builder(limits);
  if (Json::sax_parse(text, &builder)) return std::move(builder.document());
  const char* problem = builder.problem() != nullptr ? builder.problem() : "not JSON";
  return Failure(Error::Corrupt(fmt::format("{}: {}", what, problem)));
}

Result<Json> ParseJsonObject(std::string_view text, std::string_view what,
                             const JsonLimits& limits) {
  auto json = ParseJson(text, what, limits);
  const bool no_object =
      json ? !json->is_object() : json.error().message() == fmt::format("{}: not JSON", what);
  if (no_object) return Failure(Error::Corrupt(fmt::format("{}: not a JSON object", what)));
  return json;
}

}  // namespace haft::format
