#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "haft/archive/zip_archive.h"
#include "haft/format/layout.h"
#include "haft/image/block_source.h"
#include "haft/tree/tree.h"
#include "haft/writer/content_plan.h"
#include "haft/writer/content_writer.h"

namespace haft {

// The blocks of an image whose files lie elsewhere: in an archive, or in memory. Each file that is
// not empty is one run of blocks of kDefaultBlockSize. Thread-safe.
class ZipBlocks : public BlockSource {
 public:
  // Keeps `tree`, whose nodes the plan refers to.
  static Result<std::unique_ptr<ZipBlocks>> Make(std::unique_ptr<const Tree> tree);

  // Archives the tree's files are read from, the one that holds the others first; they are kept,
  // and so are their descriptors.
  void Keep(std::shared_ptr<const ZipArchive> archive) { archives_.push_back(std::move(archive)); }
  std::vector<int> Descriptors() const override;
  std::string Identity() const override;

  const Tree& tree() const { return *tree_; }
  const ContentPlan& plan() const { return plan_; }
  // What the index says about these blocks.
  ContentTables Tables() const;

  Result<> Fill(std::uint32_t number, const format::Block& block,
                std::span<std::byte> out) override;

 private:
  ZipBlocks(std::unique_ptr<const Tree> tree, ContentPlan plan)
      : tree_(std::move(tree)), plan_(std::move(plan)) {}

  std::unique_ptr<const Tree> tree_;
  ContentPlan plan_;
  std::vector<std::shared_ptr<const ZipArchive>> archives_;
  std::vector<std::uint32_t> first_;  // block of each content
};

}  // namespace haft
