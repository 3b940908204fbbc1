#include "wire.h"

#include <gtest/gtest.h>

namespace haft::trust {
namespace {

TEST(WireTest, ReadsWhatIsThereAndNothingAfterTheEnd) {
  std::string bytes;
  AppendString(bytes, "ab");
  AppendNumber(bytes, 7);
  WireReader reader(bytes);
  EXPECT_EQ(reader.String(), "ab");
  EXPECT_EQ(reader.Number(), 7u);
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(reader.Byte(), 0);
  EXPECT_FALSE(reader.good());
  EXPECT_EQ(WireReader(std::string_view("\xff\xff\xff\xff"
                                        "ab",
                                        6))
                .String(),
            "");
}

TEST(WireTest, Base64) {
  for (const std::string_view bytes : {"", "a", "ab", "abc", "abcd", "\xff\xfe\xfd"})
    EXPECT_EQ(DecodeBase64(EncodeBase64(bytes)), bytes);
  EXPECT_EQ(EncodeBase64("any carnal thing"), "YW55IGNhcm5hbCB0aGluZw==");
  for (const std::string_view text :
       {"A", "AA", "AA=A", "A===", "====", "AA-_", "AB==", "AA==AA=="})
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
}

}  // namespace
}  // namespace haft::trust
