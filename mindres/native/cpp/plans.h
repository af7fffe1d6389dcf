// A plan is a prepared oneDNN primitive with the reorders that its tensors need.

#pragma once

#include "buffers.h"
#include "kept_weights.h"
#include "merged_groups.h"
#include "onednn.h"

// Tensors whose layout differs from the primitive's are reordered on their way in or out. A finished
// plan does not change, so that threads can share it.
class Plan {
 public:
  // Adds the tensor `name` of the primitive, which is passed in the layout `outer`, or with `groups`
  // as weights that get the layout `outer` when their groups are merged.
  void add(Handle primitive_desc, int name, Handle outer, bool output = false,
           const MergedGroups &groups = {}) {
    Handle inner = dnnl.primitive_desc_query_md(primitive_desc, QUERY_ARGUMENT, name);
    Tensor tensor{name, output, outer, inner, groups, {}};
    if (groups.count > 1) tensor.merged_offset = reserve(groups.merged_size());
    if (!dnnl.memory_desc_equal(outer, inner)) {
      Handle reorder, from = output ? inner : outer, to = output ? outer : inner;
      CALL(reorder_primitive_desc_create, &reorder, from, engine, to, engine, attributes);
      tensor.offset = reserve(dnnl.memory_desc_get_size(inner));
      tensor.reorder = create(reorder);
    }
    tensors_.push_back(tensor);
  }
  void finish(Handle primitive_desc) {
    primitive_ = create(primitive_desc);
    scratch_offset_ = reserve(scratch_size_);
  }

  // Runs the primitive on the tensors `data`, in the order in which they were added.
  // `id` identifies the operator, whose reordered weights may be kept.
  void run(const std::vector<const void *> &data, int64_t id = 0) const {
    Run run(*this);
    std::vector<Argument> arguments;
    std::shared_ptr<char> weights;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const Tensor &t = tensors_[i];
      auto reordered = [&](char *place) {
        Handle inner = run.memory(t.inner, place);
        if (!t.output) run.execute(t.reorder, {{SRC, run.outer(t, data[i])}, {DST, inner}});
        return inner;
      };
      if (t.name == WEIGHTS && t.reorder.handle)
        weights =
            KeptWeights::get(id, this, data[i], dnnl.memory_desc_get_size(t.inner), reordered);
      if (!t.reorder.handle)
        arguments.push_back({t.name, run.outer(t, data[i])});
      else if (t.name == WEIGHTS && weights)
        arguments.push_back({t.name, run.memory(t.inner, weights.get())});
      else
        arguments.push_back({t.name, reordered(run.buffer.at(t.offset))});
    }
    run.execute(primitive_, arguments);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const Tensor &t = tensors_[i];
      if (!t.output) continue;
      if (t.reorder.handle)
        run.execute(t.reorder, {{SRC, arguments[i].memory}, {DST, run.outer(t, data[i])}});
      if (t.groups.count > 1)
        t.groups.split(run.merged(t), static_cast<float *>(const_cast<void *>(data[i])));
    }
  }

 private:
  struct Primitive {
    Handle handle = nullptr, scratchpad = nullptr;
  };
  struct Tensor {
    int name;
    bool output;
    Handle outer, inner;
    MergedGroups groups;
    Primitive reorder;  // without a handle if `outer` and `inner` are equal
    size_t offset = 0, merged_offset = 0;
  };

  // The stream, scratch memory and memory objects of a run.
  struct Run {
    explicit Run(const Plan &plan) : plan(plan), buffer(plan.size_) {
      CALL(threadpool_interop_stream_create, &stream, engine, pool);
    }
    ~Run() {
      for (Handle memory : memories) dnnl.memory_destroy(memory);
      dnnl.stream_destroy(stream);
    }
    Handle memory(Handle md, const void *address) {
      Handle memory;
      CALL(memory_create, &memory, md, engine, const_cast<void *>(address));
      memories.push_back(memory);
      return memory;
    }
    float *merged(const Tensor &t) const {
      return reinterpret_cast<float *>(buffer.at(t.merged_offset));
    }
    // The tensor `t` as it is passed, with its groups merged.
    Handle outer(const Tensor &t, const void *data) {
      if (t.groups.count == 1) return memory(t.outer, data);
      if (!t.output) t.groups.merge(static_cast<const float *>(data), merged(t));
      return memory(t.outer, merged(t));
    }
    void execute(const Primitive &primitive, std::vector<Argument> arguments) {
      arguments.push_back(
          {SCRATCHPAD, memory(primitive.scratchpad, buffer.at(plan.scratch_offset_))});
      CALL(primitive_execute, primitive.handle, stream, int(arguments.size()), arguments.data());
    }
    const Plan &plan;
    Buffer buffer;
    Handle stream = nullptr;
    std::vector<Handle> memories;
  };

  Primitive create(Handle primitive_desc) {
    Primitive primitive;
    CALL(primitive_create, &primitive.handle, primitive_desc);
    primitive.scratchpad =
        dnnl.primitive_desc_query_md(primitive_desc, QUERY_ARGUMENT, SCRATCHPAD);
    scratch_size_ = std::max(scratch_size_, dnnl.memory_desc_get_size(primitive.scratchpad));
    return primitive;
  }
  size_t reserve(size_t size) {
    size_t offset = size_;
    size_ += round_up_to_pages(size);
    return offset;
  }

  Primitive primitive_;
  std::vector<Tensor> tensors_;
  size_t size_ = 0, scratch_size_ = 0, scratch_offset_ = 0;
};

// The plan for `key`, made by `make` on first use. Plans are never freed, because MindSpore's
// threads outlive static objects.
template <typename Make>
const Plan &kept_plan(const std::vector<Dims> &key, const Make &make) {
  static auto &mutex = *new std::mutex;
  static auto &plans = *new std::map<std::vector<Dims>, std::unique_ptr<Plan>>;
  std::lock_guard<std::mutex> lock(mutex);
  auto &entry = plans[key];
  if (!entry) entry = make();
  return *entry;
}
