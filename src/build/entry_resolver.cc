#include "entry_resolver.h"

#include <fmt/format.h>

#include "haft/base/path.h"
#include "haft/format/image_paths.h"
#include "haft/python/entry_points.h"
#include "haft/python/scripts.h"

namespace haft {

// What can be said of the entry before the inputs have been read.
Result<> CheckEntry(const EntryRequest& request) {
  int given = (!request.console_script.empty() && request.entry_point.empty()) +
              !request.entry_point.empty() + !request.module.empty() + !request.executable.empty() +
              !request.web.empty();
  if (given > 1) return Failure(Error::Invalid("a bundle has one entry"));
  if (request.entry_point.find(':') != std::string::npos) {
    TRY(format::ParseFunctionEntry(request.entry_point, "entry point"));
  } else if (!request.entry_point.empty()) {
    TRY(format::ParseModuleEntry(request.entry_point, "entry point"));
  }
  if (!request.module.empty()) TRY(format::ParseModuleEntry(request.module, "module"));
  if (!request.web.empty()) TRY(ParseWebApplication(request.web));
  return {};
}

bool BringsPython(const BuildOptions& options) {
  return options.bundle_python || options.bundle_httpd;
}

bool SeesHostPackages(const BuildOptions& options) {
  return !options.isolated && !BringsPython(options);
}

std::string ImagePathOfExecutable(const EntryRequest& request) {
  return JoinPath("bin", BaseName(request.executable));
}

Result<format::Entry> EntryResolver::Resolve() const {
  const EntryRequest& request = options_.entry;
  if (!request.web.empty()) {
    const format::WebApplication web = TRY(ParseWebApplication(request.web));
    TRY(Require(WebModule(web)));
    return WebEntry(web);
  }
  if (!request.entry_point.empty()) return ResolveEntryPoint(request.entry_point);
  if (!request.console_script.empty())
    return FindScript(tree_, format::kSitePackages, request.console_script);
  if (!request.executable.empty()) {
    format::Entry entry = TRY(ScriptEntry(tree_, ImagePathOfExecutable(request)));
    entry.script = BaseName(entry.file);
    return entry;
  }
  if (request.module.empty()) {
    bool has_entry =
        options_.imported && options_.imported->manifest.entry.kind != format::EntryKind::kNone;
    return has_entry ? options_.imported->manifest.entry
                     : format::Entry{.kind = format::EntryKind::kInterpreter};
  }
  format::Entry entry = TRY(format::ParseModuleEntry(request.module, "module"));
  TRY(Require(entry.module));
  return entry;
}

// "a.b:c", else the module a.b.c, else the function c of the module a.b.
Result<format::Entry> EntryResolver::ResolveEntryPoint(const std::string& text) const {
  if (text.find(':') != std::string::npos) {
    format::Entry entry = TRY(format::ParseFunctionEntry(text, "entry point"));
    TRY(Require(entry.module));
    return entry;
  }
  std::size_t dot = text.rfind('.');
  bool module = HoldsModuleFile(tree_, format::kSitePackages, text);
  if (dot != std::string::npos && !module) {
    const std::string parent = text.substr(0, dot);
    if (HoldsModuleFile(tree_, format::kSitePackages, parent) ||
        !TRY(python_.Finds(text, SeesHostPackages(options_)))) {
      TRY(Require(parent));
      return format::ParseFunctionEntry(fmt::format("{}:{}", parent, text.substr(dot + 1)),
                                        "entry point");
    }
  }
  format::Entry entry = TRY(format::ParseModuleEntry(text, "entry point"));
  TRY(Require(entry.module));
  return entry;
}

Result<> EntryResolver::Require(const std::string& module) const {
  const std::string top = module.substr(0, module.find('.'));
  if (TRY(HoldsModule(tree_, format::kSitePackages, top)) ||
      TRY(python_.Finds(top, SeesHostPackages(options_))))
    return {};
  return Failure(
      Error(ErrorKind::kNotFound,
            fmt::format("module {}: neither in the inputs nor {} {}", Quoted(module),
                        SeesHostPackages(options_) ? "known to" : "in the standard library of",
                        Quoted(python_.target().path))));
}

}  // namespace haft
