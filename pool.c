// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for doorbells and their counters, a block of them at a time: to have each
 * charged to the memory cgroup by itself would take longer than all the rest of
 * making it.
 *
 * A doorbell has a counter of hits for each CPU, so that vCPUs that ring do not
 * fight for it.  They are not of the kernel's per-CPU memory, a new chunk of which
 * takes longer to make than a thousand doorbells.
 */
#include <linux/bits.h>
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "kvmfd.h"

/**
 * struct kvmfd_block - a few doorbells
 * @link: in &kvmfd.blocks
 * @free: a bit for each that nobody has
 * @hits: their counters: those for a CPU side by side, beginning at a cache line
 * @doorbells: the doorbells
 */
struct kvmfd_block {
	struct list_head link;
	u64 free;
	atomic64_t *hits;
	struct kvmfd_doorbell doorbells[];
};

#define PER_PAGE \
	((SZ_4K - sizeof(struct kvmfd_block)) / sizeof(struct kvmfd_doorbell))

/* One, so that KASAN sees each come and go; or as many as fit into a page. */
#define PER_BLOCK (IS_ENABLED(CONFIG_KASAN) ? 1 : PER_PAGE)

#define ALL_FREE GENMASK_ULL(PER_BLOCK - 1, 0)

/*
 * So many blocks without a doorbell are kept for those that come next: a guest that
 * starts its devices anew has a VMM remove all of them and make them again.
 */
#define MAX_FREE_BLOCKS (IS_ENABLED(CONFIG_KASAN) ? 0 : 32)

/* DEFINE_PER_CPU(), in words that Coccinelle can read. */
DEFINE_PER_CPU_SECTION(unsigned long, kvmfd_hits_at, "");

static void block_free(struct kvmfd_block *block)
{
	list_del(&block->link);
	kvfree(block->hits);
	kfree(block);
}

static struct kvmfd_block *block_create(struct kvmfd *p)
{
	struct kvmfd_block *block;

	BUILD_BUG_ON(BITS_PER_TYPE(block->free) < PER_BLOCK);
	BUILD_BUG_ON(KVMFD_HITS_STRIDE < PER_BLOCK);

	block = kmalloc(struct_size(block, doorbells, PER_BLOCK), GFP_KERNEL_ACCOUNT);
	if (!block)
		return NULL;

	block->hits = kvmalloc_array(nr_cpu_ids, KVMFD_HITS_STRIDE * sizeof(*block->hits),
				     GFP_KERNEL_ACCOUNT);
	if (!block->hits) {
		kfree(block);
		return NULL;
	}

	block->free = ALL_FREE;
	p->nr_free_blocks++;
	list_add(&block->link, &p->blocks);
	return block;
}

/**
 * kvmfd_pool_init() - the part of the module's start that is about doorbells
 */
void __init kvmfd_pool_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		per_cpu(kvmfd_hits_at, cpu) = cpu * KVMFD_HITS_STRIDE;
}

/**
 * kvmfd_pool_get() - memory for a doorbell
 * @p: the attachment, &kvmfd.lock held
 *
 * Return: a doorbell, all 0 but for &kvmfd_doorbell.hits and &kvmfd_doorbell.block,
 * for kvmfd_pool_put(); or NULL.
 */
struct kvmfd_doorbell *kvmfd_pool_get(struct kvmfd *p)
{
	struct kvmfd_doorbell *db;
	struct kvmfd_block *block;
	unsigned int i;
	int cpu;

	lockdep_assert_held(&p->lock);

	block = list_first_entry_or_null(&p->blocks, struct kvmfd_block, link);
	if (!block || !block->free)
		block = block_create(p);
	if (!block)
		return NULL;

	if (block->free == ALL_FREE)
		p->nr_free_blocks--;
	i = __ffs64(block->free);
	block->free &= ~BIT_ULL(i);
	if (!block->free)
		list_move_tail(&block->link, &p->blocks);

	db = &block->doorbells[i];
	memset(db, 0, sizeof(*db));
	db->block = block;
	db->hits = block->hits + i;
	for_each_possible_cpu(cpu)
		atomic64_set(&db->hits[per_cpu(kvmfd_hits_at, cpu)], 0);

	return db;
}

/**
 * kvmfd_pool_put() - give it back
 * @p: the attachment; &kvmfd.lock is held, or nobody else is left
 * @db: a doorbell
 */
void kvmfd_pool_put(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	struct kvmfd_block *block = db->block;

	if (!block->free)
		list_move(&block->link, &p->blocks);
	block->free |= BIT_ULL(db - block->doorbells);
	if (block->free != ALL_FREE)
		return;
	if (p->nr_free_blocks < MAX_FREE_BLOCKS)
		p->nr_free_blocks++;
	else
		block_free(block);
}

/**
 * kvmfd_pool_free() - free what is kept for further doorbells
 * @p: an attachment that has ended
 */
void kvmfd_pool_free(struct kvmfd *p)
{
	struct kvmfd_block *block, *next;

	list_for_each_entry_safe(block, next, &p->blocks, link)
		block_free(block);
}

/**
 * kvmfd_doorbell_hits() - how often has a doorbell been hit?
 * @db: the doorbell
 *
 * Return: the hits on all CPUs.
 */
u64 kvmfd_doorbell_hits(const struct kvmfd_doorbell *db)
{
	u64 hits = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		hits += atomic64_read(&db->hits[per_cpu(kvmfd_hits_at, cpu)]);

	return hits;
}
