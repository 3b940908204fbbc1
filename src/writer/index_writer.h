#pragma once

#include <cstdint>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/layout.h"
#include "haft/tree/tree.h"
#include "haft/writer/byte_sink.h"
#include "haft/writer/content_plan.h"
#include "haft/writer/content_writer.h"

namespace haft {

// What the trailer has to know of an index.
struct IndexSummary {
  std::uint64_t inode_count;
  std::uint64_t string_size;
  std::vector<format::Digest> chunk_digests;
};

// Appends the index: inode table (breadth first, so that the children of a directory are neighbours
// and come after it), extents, blocks, string heap. The digests of its chunks go elsewhere.
Result<IndexSummary> WriteIndex(const Tree& tree, const ContentPlan& plan,
                                const ContentTables& tables, ByteSink& sink);

}  // namespace haft
