#include "haft/trust/policy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/base/temporary_directory.h"
#include "haft/format/digest.h"
#include "haft/format/signature_area.h"
#include "support/expect.h"
#include "support/test_tree.h"
#include "test_keys.h"

namespace haft::trust {
namespace {

using testing::TestKey;
namespace fs = std::filesystem;

const TestKey kKey(1), kOther(2);

// A signed "image" of a signature area alone, as far as CheckPolicy() looks.
class PolicyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "files of root";
    directory_.emplace(*TemporaryDirectory::CreateInTmp("haft-policy-test-"));
    places_ = {.system = directory_->path() + "/etc", .user = directory_->path() + "/user"};
    for (const std::string& place : {places_.system, places_.user}) fs::create_directory(place);
    bundle_.trailer.image_size = sizeof(format::Trailer) + format::kSignatureAreaSize;
    bundle_.trailer.signature_size = format::kSignatureAreaSize;
    bundle_.trailer.root[0] = 7;
    image_ = UniqueFd(::memfd_create("image", MFD_CLOEXEC));
    Sign({});
  }

  void Sign(const std::vector<std::string>& signatures) {
    const std::string area = *format::MakeSignatureArea(signatures);
    ASSERT_TRUE(WriteAllAt(image_.get(), AsBytes(area), 0));
  }
  std::string GoodSignature(const TestKey& key = kKey) {
    return key.Sign(format::RootMessage(bundle_.trailer.root));
  }
  std::string Write(const std::string& place, const std::string& name, const std::string& text) {
    const std::string path = place + "/" + name;
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
    return path;
  }
  std::string Start() {
    const auto result = CheckPolicy(image_.get(), bundle_, places_);
    return result ? "started" : result.error().message();
  }

  std::optional<TemporaryDirectory> directory_;
  PolicyPlaces places_;
  format::BundleFile bundle_ = {};
  UniqueFd image_;
};

TEST_F(PolicyTest, WithoutOneEverythingStarts) {
  EXPECT_EQ(Start(), "started");
  Write(places_.system, "policy.json", R"({"require": "never"})");
  EXPECT_EQ(Start(), "started");
}

TEST_F(PolicyTest, RootsOneWantsASignatureOfThoseItNames) {
  Write(places_.system, "policy.json", R"({"require": "always"})");
  EXPECT_EQ(Start(), "not signed (" + places_.system +
                         "/policy.json asks for a signature); sign it with haft sign");
  Sign({GoodSignature()});
  EXPECT_TRUE(Start().starts_with("signed with an unknown key"));
  Write(places_.system, "allowed_signers.d/ops", "ops@example.org " + kKey.line());
  Write(places_.system, "allowed_signers.d/ops.dpkg-old", "nonsense");
  EXPECT_EQ(Start(), "started");
  Write(places_.system, "policy.json", R"({"require": "always", "signers": ["dev@example.org"]})");
  EXPECT_TRUE(Start().starts_with("signed by 'ops@example.org', not by 'dev@example.org' ("));
  Write(places_.system, "policy.json",
        R"({"require": "always", "signers": ["dev@example.org", "ops@example.org"]})");
  EXPECT_EQ(Start(), "started");
  Write(places_.system, "policy.json", R"({"require": "always", "signers": []})");
  EXPECT_TRUE(Start().starts_with("no signer is allowed (")) << Start();
  Write(places_.system, "policy.json", R"({"require": "always"})");
  Write(places_.system, "revoked_keys", kKey.line());
  EXPECT_TRUE(Start().starts_with("signed with a revoked key"));
}

TEST_F(PolicyTest, TheUsersOneOnlyTightens) {
  Write(places_.system, "policy.json", R"({"require": "always"})");
  Write(places_.system, "allowed_signers", "ops@example.org " + kKey.line());
  Write(places_.user, "policy.json", R"({"require": "never"})");
  Write(places_.user, "allowed_signers", "me@example.org " + kOther.line());
  Sign({GoodSignature(kOther)});
  EXPECT_TRUE(Start().starts_with("signed with an unknown key"));  // known to the user alone
  Sign({GoodSignature()});
  EXPECT_EQ(Start(), "started");
  Write(places_.user, "policy.json", R"({"require": "always", "signers": ["me@example.org"]})");
  EXPECT_TRUE(Start().starts_with("signed by 'ops@example.org', not by 'me@example.org' ("));
  Sign({GoodSignature(), GoodSignature(kOther)});
  EXPECT_EQ(Start(), "started");
}

TEST_F(PolicyTest, TheUsersOneCountsWithoutOneOfRoot) {
  Write(places_.user, "allowed_signers", "me@example.org " + kOther.line());
  EXPECT_EQ(Start(), "started");
  places_.required = true;  // HAFT_REQUIRE_SIGNATURE
  EXPECT_EQ(Start(),
            "not signed (HAFT_REQUIRE_SIGNATURE asks for a signature); sign it with haft sign");
  Sign({GoodSignature(kOther)});
  EXPECT_EQ(Start(), "started");
}

TEST_F(PolicyTest, WhatOthersCanChangeIsRefused) {
  const std::string policy = Write(places_.system, "policy.json", R"({"require": "never"})");
  fs::permissions(policy, fs::perms(0666));
  EXPECT_TRUE(Start().contains("others may write to it")) << Start();
  fs::permissions(policy, fs::perms(0644));
  EXPECT_EQ(Start(), "started");
  ASSERT_EQ(::chown(policy.c_str(), 4711, 0), 0);
  EXPECT_TRUE(Start().contains("belongs to user 4711")) << Start();
  ASSERT_EQ(::chown(policy.c_str(), 0, 0), 0);
  fs::permissions(places_.system, fs::perms(0777));
  EXPECT_TRUE(Start().contains("others may write to it")) << Start();
}

TEST_F(PolicyTest, AllFilesOfADirectoryAreLookedAtLikeThat) {
  Write(places_.system, "policy.json", R"({"require": "always"})");
  Sign({GoodSignature()});
  for (const std::string_view name : {"allowed_signers", "allowed_signers.d/x", "revoked_keys"}) {
    const std::string path = Write(places_.system, std::string(name),
                                   name == "revoked_keys" ? kOther.line() : "ops " + kKey.line());
    EXPECT_EQ(Start(), "started");
    fs::permissions(path, fs::perms(0664));
    EXPECT_TRUE(Start().contains("others may write to it")) << Start();
    fs::permissions(path, fs::perms(0644));
  }
  fs::permissions(places_.system + "/allowed_signers.d", fs::perms(0777));
  EXPECT_TRUE(Start().contains("others may write to it")) << Start();
}

TEST_F(PolicyTest, WhatIsNotUnderstoodIsRefused) {
  for (const std::string_view text :
       {"", "[]", "{}", R"({"require": true})", R"({"require": "remote"})",
        R"({"require": "never", "requires": "always"})", R"({"signers": ["a"]})",
        R"({"require": "never", "signers": "a"})", R"({"require": "never", "signers": [1]})",
        R"({"require": "never"} x)"}) {
    Write(places_.system, "policy.json", std::string(text));
    EXPECT_TRUE(Start().contains("policy.json': ")) << text << ": " << Start();
  }
  Write(places_.system, "policy.json", R"({"require": "always"})");
  Write(places_.system, "allowed_signers", "ops cert-authority " + kKey.line());
  EXPECT_TRUE(Start().contains("allowed_signers:1: cert-authority")) << Start();
  fs::remove(places_.system + "/allowed_signers");
  fs::create_directory(places_.system + "/allowed_signers");
  EXPECT_TRUE(Start().contains("not a regular file")) << Start();
}

}  // namespace
}  // namespace haft::trust
