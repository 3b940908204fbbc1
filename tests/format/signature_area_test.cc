#include "haft/format/signature_area.h"

#include <gtest/gtest.h>

#include "haft/base/file_io.h"

namespace haft::format {
namespace {

std::vector<std::string> Parsed(std::string_view area) {
  auto signatures = ParseSignatureArea(AsBytes(area));
  return signatures ? *std::move(signatures) : std::vector<std::string>{"damaged"};
}

TEST(SignatureAreaTest, HoldsWhatWasPutIn) {
  const std::vector<std::vector<std::string>> cases = {
      {}, {"a"}, {"abcd", "efghijklm"}, {std::string(4092, 'x')}, {std::string(4084, 'x'), "abcd"}};
  for (const auto& signatures : cases) {
    const auto area = MakeSignatureArea(signatures);
    ASSERT_TRUE(area);
    EXPECT_EQ(area->size(), kSignatureAreaSize);
    EXPECT_EQ(Parsed(*area), signatures);
  }
}

TEST(SignatureAreaTest, IsFull) {
  for (const std::size_t size : {0, 4093, 5000})
    EXPECT_FALSE(MakeSignatureArea(std::vector<std::string>{std::string(size, 'x')}));
  EXPECT_FALSE(MakeSignatureArea(std::vector<std::string>{std::string(4084, 'x'), "abcde"}));
  EXPECT_FALSE(MakeSignatureArea(std::vector<std::string>(600, "abcd")));
}

TEST(SignatureAreaTest, AnyOtherBitIsDamage) {
  const std::string area = *MakeSignatureArea(std::vector<std::string>{"abcde"});
  for (std::size_t i = 9; i < area.size(); ++i) {  // after the signature
    std::string changed = area;
    changed[i] = 1;
    EXPECT_NE(Parsed(changed), std::vector<std::string>{"abcde"}) << i;
  }
  EXPECT_EQ(Parsed(std::string(3, '\0') + "\x7f" + std::string(4092, '\0')),
            std::vector<std::string>{"damaged"});
  EXPECT_EQ(Parsed(std::string("\xfd\x0f\0\0", 4) + std::string(4092, '\0')),
            std::vector<std::string>{"damaged"});
}

}  // namespace
}  // namespace haft::format
