#include "haft/trust/signers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "test_keys.h"

namespace haft::trust {
namespace {

using testing::TestKey;

constexpr std::string_view kMessage = "haft-root-v1\nsha256:00\n";
constexpr std::int64_t kNow = 1'700'000'000;  // 2023-11-14 22:13:20 UTC
const TestKey kKey(1), kOther(2), kHardware(3, "ssh:");

std::vector<AllowedKey> Allowed(std::string_view text) {
  auto keys = ParseAllowedSigners(text, "F");
  EXPECT_TRUE(keys) << keys.error().message();
  return keys ? *std::move(keys) : std::vector<AllowedKey>();
}

std::string Refusal(std::string_view text) {
  const auto keys = ParseAllowedSigners(text, "F");
  return keys ? "none" : keys.error().message();
}

TEST(AllowedSignersTest, LinesOfOpenSsh) {
  const auto keys = Allowed(fmt::format(
      "# comment\n\n"
      "ops@example.org {0} a comment\n"
      "\t\"a b,c\" NAMESPACES=\"git,ha*\",valid-after=\"20200101\",valid-before=\"202001020304Z\" "
      "{0}\r\n"
      "rsa@example.org ssh-rsa AAAA\n"
      "x namespaces=\"\\\"\" {1}",
      kKey.line(), kHardware.line()));
  ASSERT_EQ(keys.size(), 3u);
  EXPECT_EQ(keys[0].principals, "ops@example.org");
  EXPECT_EQ(keys[0].key.blob, kKey.blob());
  EXPECT_EQ(keys[1].principals, "a b,c");
  EXPECT_EQ(keys[1].namespaces, "git,ha*");
  EXPECT_EQ(keys[1].valid_after, 1'577'836'800);
  EXPECT_EQ(keys[1].valid_before, 1'577'934'240);
  EXPECT_EQ(keys[2].key.application, "ssh:");
  EXPECT_EQ(keys[2].namespaces, "\"");
}

TEST(AllowedSignersTest, RefusesWhatItDoesNotUnderstand) {
  const std::string key = kKey.line();
  EXPECT_EQ(Refusal("\nops cert-authority " + key),
            "F:2: cert-authority: haft checks no certificates");
  EXPECT_EQ(Refusal("ops namespaces=\"haft\",Cert-Authority " + key),
            "F:1: cert-authority: haft checks no certificates");
  EXPECT_EQ(Refusal("ops verify-required " + key), "F:1: 'verify-required': unknown option");
  EXPECT_EQ(Refusal("ops valid-before=20200101 " + key),
            "F:1: valid-before: its value is not in quotes");
  for (const std::string_view date : {"2020", "20200230", "2020010124", "202001012400", "x0200101",
                                      "20200101ZZ", "-2020101", ""}) {
    EXPECT_EQ(Refusal(fmt::format("ops valid-before=\"{}\" {}", date, key)),
              "F:1: valid-before: not a date YYYYMMDD[HHMM[SS]][Z]");
  }
  EXPECT_EQ(Refusal("ops"), "F:1: no key");
  EXPECT_EQ(Refusal("ops ssh-ed25519"), "F:1: key is damaged");
  EXPECT_EQ(Refusal("ops " + key.substr(0, key.size() - 4)), "F:1: key is damaged");
  EXPECT_EQ(Refusal("ops ssh-ed25519 " + kHardware.line().substr(27)), "F:1: key is damaged");
  EXPECT_EQ(Refusal("\"ops " + key), "F:1: a quote is not closed");
  EXPECT_EQ(Refusal("\"\" " + key), "F:1: no principals");
}

TEST(RevokedKeysTest, AreListedOneOnALine) {
  const auto keys = ParseRevokedKeys(kKey.line() + " old\n# x\nssh-rsa AAAA\n", "F");
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 1u);
  EXPECT_EQ((*keys)[0].blob, kKey.blob());
  EXPECT_FALSE(ParseRevokedKeys("SSHKRL\n\0", "F"));
  EXPECT_FALSE(ParseRevokedKeys("SHA256:abc", "F"));
  EXPECT_FALSE(ParseRevokedKeys("ssh-ed25519\"", "F"));  // a quote that is not closed
}

TEST(PatternsTest, OfSsh) {
  EXPECT_TRUE(MatchesPatterns("haft", "haft"));
  EXPECT_TRUE(MatchesPatterns("a@example.org", "b,*@example.?rg"));
  EXPECT_FALSE(MatchesPatterns("a@example.org", "*,!a@*"));
  EXPECT_FALSE(MatchesPatterns("a", "!b"));
  EXPECT_FALSE(MatchesPatterns("haft2", "haft"));
  EXPECT_FALSE(MatchesPatterns("haft", ""));
  const std::string many(1000, 'a');
  EXPECT_FALSE(MatchesPatterns(many, "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"));
}

// --- which signature counts ---

std::string Verdict(const std::vector<std::string>& signatures, const Signers& signers,
                    const std::vector<std::string>& wanted = {}) {
  const auto found = FindSigner(signatures, kMessage, signers, {.signers = wanted, .now = kNow});
  return found ? "by " + found->principals : found.error().message();
}

TEST(FindSignerTest, EachRefusalSaysWhy) {
  const std::string key = kKey.line(), print = Fingerprint(*ParsePublicKey(kKey.blob()));
  const Signers signers{.allowed = Allowed("ops@example.org " + key), .revoked = {}};
  EXPECT_EQ(Verdict({kKey.Sign(kMessage)}, signers), "by ops@example.org");
  EXPECT_EQ(Verdict({}, signers), "not signed; sign it with haft sign");
  EXPECT_EQ(Verdict({kOther.Sign(kMessage)}, signers),
            fmt::format("signed with an unknown key, {}; add it to allowed_signers if you trust it",
                        Fingerprint(*ParsePublicKey(kOther.blob()))));
  EXPECT_EQ(Verdict({kKey.Sign("other")}, signers),
            fmt::format("its signature is wrong, it belongs to other bytes (key {}); get the file "
                        "again",
                        print));
  EXPECT_EQ(Verdict({kKey.Sign(kMessage, "git")}, signers),
            "signed for namespace 'git', not for haft");
  EXPECT_EQ(Verdict({kKey.Sign(kMessage)}, {.allowed = Allowed("a namespaces=\"git\" " + key)}),
            fmt::format("signed with an unknown key, {}; add it to allowed_signers if you trust it",
                        print));
  EXPECT_EQ(Verdict({kKey.Sign(kMessage)}, signers, {"dev@example.org"}),
            "signed by 'ops@example.org', not by 'dev@example.org'");
  EXPECT_EQ(Verdict({kKey.Sign(kMessage)},
                    {.allowed = Allowed("ops valid-before=\"20231114221319Z\" " + key)}),
            "signed by 'ops', whose key has expired; have it signed with a newer key");
  EXPECT_EQ(Verdict({kKey.Sign(kMessage)},
                    {.allowed = Allowed("ops valid-after=\"20231114221321Z\" " + key)}),
            "signed by 'ops', whose key is not valid yet");
  EXPECT_EQ(Verdict({kKey.Sign(kMessage)},
                    {.allowed = signers.allowed, .revoked = {*ParsePublicKey(kKey.blob())}}),
            fmt::format("signed with a revoked key, {}", print));
}

TEST(FindSignerTest, OneGoodSignatureIsEnough) {
  const Signers signers{.allowed = Allowed(fmt::format("old valid-before=\"20200101\" {0}\n"
                                                       "*@example.org {0}\nhard {1}",
                                                       kKey.line(), kHardware.line())),
                        .revoked = {*ParsePublicKey(kOther.blob())}};
  const std::string good = kKey.Sign(kMessage), hard = kHardware.Sign(kMessage);
  EXPECT_EQ(Verdict({"x", kOther.Sign(kMessage), kKey.Sign("other"), good}, signers),
            "by *@example.org");
  EXPECT_EQ(Verdict({good, hard}, signers, {"hard"}), "by hard");
  EXPECT_EQ(Verdict({good, hard}, signers, {"nobody", "me@example.org"}), "by *@example.org");
}

}  // namespace
}  // namespace haft::trust
