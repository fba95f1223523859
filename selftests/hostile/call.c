// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>

#include "test_util.h"

#include "fuzz/chance.h"
#include "hostile/call.h"
#include "hostile/world.h"

#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH

/* --- calls that make sense ------------------------------------------------ */

static int any_eventfd(void)
{
	static const int odd[] = { -1, 0, 9999, INT32_MAX, INT32_MIN };

	if (chance(92))
		return SLOT_FD(SLOT_EVENTFD + chance_below(EVENTFDS));
	return chance(70) ? SLOT_FD(chance_below(SLOTS)) : any_of(odd);
}

static int any_vm(void)
{
	if (chance(90))
		return SLOT_FD(chance(65) ? SLOT_VM : SLOT_BARE_VM);
	return chance(80) ? SLOT_FD(chance_below(SLOTS)) : -1;
}

/* Few, so that they meet. */
static struct kvmfd_change any_doorbell(void)
{
	static const uint64_t addrs[] = {
		WORLD_MMIO,
		WORLD_MMIO,
		WORLD_MMIO + 4,
		WORLD_MMIO + 1,
		WORLD_MMIO + 8,
		0,
		UINT64_MAX - 7,
		UINT64_MAX,
	};
	static const uint32_t lens[] = { 0, 1, 2, 4, 8 };
	static const uint64_t values[] = { 0, 1, 2, 0x101, UINT64_MAX };
	static const uint64_t masks[] = { UINT64_MAX, UINT64_MAX, 1, 0xff, 0x3, 0x101, 0xf0 };
	struct kvmfd_change change = {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.flags = chance(40) ? PIO : 0,
		.addr = any_of(addrs),
		.len = any_of(lens),
		.fd = any_eventfd(),
	};

	if (change.flags & PIO && chance(90))
		change.addr = WORLD_PORT + chance_below(3);
	if (chance(40)) {
		change.flags |= DATAMATCH;
		change.data = any_of(values);
		change.mask = any_of(masks);
	}
	if (chance(3))
		change.flags |= KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY;
	if (chance(30))
		change.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	return change;
}

static struct kvmfd_change any_irqfd(void)
{
	static const uint32_t gsis[] = { 0, 1, 4, 5, 8, 24, 25, 26, 4095, UINT32_MAX };
	struct kvmfd_change change = {
		.kind = KVMFD_ENTRY_IRQFD,
		.gsi = any_of(gsis),
		.fd = any_eventfd(),
	};

	if (chance(30)) {
		change.flags |= KVM_IRQFD_FLAG_RESAMPLE;
		change.resamplefd = any_eventfd();
	}
	if (chance(30))
		change.flags |= KVM_IRQFD_FLAG_DEASSIGN;
	return change;
}

static struct kvmfd_change any_change(bool doorbell, bool turn)
{
	struct kvmfd_change change = doorbell ? any_doorbell() : any_irqfd();

	if (turn)
		change.flags ^= doorbell ? KVM_IOEVENTFD_FLAG_DEASSIGN : KVM_IRQFD_FLAG_DEASSIGN;
	return change;
}

static void fill_batch(struct call *call, bool turn)
{
	static const uint32_t counts[] = { 0, 65536, 65537, UINT32_MAX };
	unsigned int i, n = 1 + chance_below(chance(85) ? 5 : CHANGES_MAX);

	call->batch.change_size = sizeof(struct kvmfd_change);
	call->batch.count = chance(95) ? n : any_of(counts);
	for (i = 0; i < n; i++)
		call->changes[i] = any_change(chance(60), turn);
}

static void fill_list(struct call *call)
{
	static const uint64_t cursors[] = { 0, 0, 0, 1, 5, UINT64_MAX };
	static const uint32_t counts[] = { 1, 2, 20, 100, 0 };

	call->list.cursor = any_of(cursors);
	call->list.count = any_of(counts);
	call->list.entry_size = sizeof(struct kvmfd_entry);
}

static void fill_latency(struct call *call)
{
	static const uint32_t flags[] = { KVMFD_LATENCY_START, KVMFD_LATENCY_STOP, 0 };

	call->latency.flags = any_of(flags);
	/* Of one that there is then, or of another. */
	call->latency.id = chance(80) ? 0 : 1 + chance_below(12);
}

/* KVMFD_ATTACH_VM, KVMFD_FIND_VM and KVMFD_EVICT begin with the same. */
static void fill_vm(struct call *call)
{
	struct kvmfd_attach *args = (void *)call->arg;

	args->vm_fd = any_vm();
	if (call->request->flags && chance(30))
		args->flags = KVMFD_VM_FOREIGN;
}

static void fill_arg(struct call *call, bool turn)
{
	struct kvmfd_change c = any_change(call->request->number != KVM_IRQFD, turn);

	switch (call->request->number) {
	case KVM_IOEVENTFD:
		*(struct kvm_ioeventfd *)call->arg = (struct kvm_ioeventfd) {
			.datamatch = c.data,
			.addr = c.addr,
			.len = c.len,
			.fd = c.fd,
			.flags = c.flags,
		};
		return;
	case KVM_IRQFD:
		*(struct kvm_irqfd *)call->arg = (struct kvm_irqfd) {
			.fd = c.fd,
			.gsi = c.gsi,
			.flags = c.flags,
			.resamplefd = c.resamplefd,
		};
		return;
	case KVMFD_IOEVENTFD:
		*(struct kvmfd_ioeventfd *)call->arg = (struct kvmfd_ioeventfd) {
			.flags = c.flags,
			.addr = c.addr,
			.data = c.data,
			.mask = c.mask,
			.len = c.len,
			.fd = c.fd,
		};
		break;
	case KVMFD_BATCH:
		fill_batch(call, turn);
		break;
	case KVMFD_LIST:
		fill_list(call);
		break;
	case KVMFD_LATENCY:
		fill_latency(call);
		break;
	case KVMFD_GET_INFO:
		break;
	default:
		fill_vm(call);
	}
	call->size = call->request->size;
}

static void fill_request(struct call *call, bool turn)
{
	/* What changes something is what most is about. */
	call->request = &requests[chance(40) ? chance_below(REQUESTS) : 6 + chance_below(4)];
	call->number = call->request->number;
	fill_arg(call, turn);
	if (chance(72))
		call->slot = SLOT_KVMFD;
	else if (chance(80))
		call->slot = SLOT_KVMFD + chance_below(KVMFDS);
	else
		call->slot = chance(50) ? SLOT_VM : chance_below(SLOTS);
}

static enum act any_act(void)
{
	static const struct {
		enum act act;
		unsigned int percent;
	} acts[] = {
		{ ACT_REQUEST, 60 },
		{ ACT_SIGNAL, 11 },
		{ ACT_RUN, 6 },
		{ ACT_CLOSE, 4 },
		{ ACT_REOPEN, 3 },
		{ ACT_DUP, 2 },
		{ ACT_PASS, 2 },
		{ ACT_MMAP, 2 },
		{ ACT_WAIT, 2 },
		{ ACT_FDINFO, 2 },
		{ ACT_ROUTES, 2 },
		{ ACT_LINE, 1 },
		{ ACT_FORK, 2 },
	};
	unsigned int i, n = chance_below(100);

	for (i = 0; i < ARRAY_SIZE(acts); n -= acts[i++].percent)
		if (n < acts[i].percent)
			return acts[i].act;
	return ACT_CONTROL;
}

/* --- and less sense ------------------------------------------------------- */

static void twist_word(uint32_t *word)
{
	static const uint32_t words[] = {
		0,
		1,
		8,
		4096,
		0x7fffffff,
		0x80000000,
		UINT32_MAX,
	};

	switch (chance_below(3)) {
	case 0:
		*word = any_of(words);
		break;
	case 1:
		*word ^= 1U << chance_below(32);
		break;
	case 2:
		*word = chance_bits();
		break;
	}
}

static void twist_arg(struct call *call)
{
	uint32_t *words = (uint32_t *)call->arg;

	if (call->request->number == KVMFD_BATCH && chance(60)) {
		words = (uint32_t *)&call->changes[chance_below(2)];
		twist_word(&words[chance_below(sizeof(struct kvmfd_change) / 4)]);
	} else {
		twist_word(&words[chance_below(call->request->size / 4)]);
	}
}

static void twist_size(struct call *call)
{
	const uint32_t first = call->request->first, size = call->request->size;
	const uint32_t sizes[] = {
		0,
		4,
		first - 1,
		first,
		size - 1,
		size + 1,
		size + 8,
		4096,
		4097,
		UINT32_MAX,
	};

	if (!first)
		return;
	call->size = any_of(sizes);
	call->tail = chance(30);
}

/* What has to be 0, or has few bits. */
static void twist_head(struct call *call)
{
	const struct request *r = call->request;

	if (r->reserved && chance(50))
		call->arg[r->reserved + chance_below(4)] ^= 1U << chance_below(8);
	else if (r->first)
		call->flags ^= 1U << chance_below(32);
	else
		twist_arg(call);
}

static void twist_request(struct call *call)
{
	switch (chance_below(7)) {
	case 0:
	case 1:
		twist_arg(call);
		break;
	case 2:
		twist_head(call);
		break;
	case 3:
	case 4:
		twist_size(call);
		break;
	case 5:
		call->place = PLACE_CUT + chance_below(5);
		break;
	case 6:
		/* Its size or direction, or its number: all are of the request. */
		call->number ^= 1UL << chance_below(32);
		break;
	}
}

/* Not so often one of the VMs: they take long to make. */
static unsigned int any_slot(void)
{
	return chance(8) ? chance_below(SLOT_KVMFD) : SLOT_KVMFD + chance_below(SLOTS - SLOT_KVMFD);
}

void call_of_gene(const struct gene *gene, struct call *call)
{
	memset(call, 0, sizeof(*call));
	chance_seed(gene->seed);
	call->act = any_act();
	call->slot = any_slot();
	call->other = any_slot();
	call->choice = chance_bits();
	call->fail = gene->fail;
	if (call->act == ACT_REQUEST)
		fill_request(call, gene->turn);
	else if (call->act == ACT_SIGNAL && chance(90))
		call->slot = SLOT_EVENTFD + chance_below(EVENTFDS);

	if (!gene->twist)
		return;
	chance_seed(gene->twist);
	if (call->act == ACT_REQUEST)
		twist_request(call);
	else
		call->slot = any_slot();
}

/* --- genes ---------------------------------------------------------------- */

struct gene any_gene(void)
{
	return (struct gene) {
		.seed = chance_bits(),
		.twist = chance(30) ? chance_bits() : 0,
		.fail = chance(6) ? 1 + chance_below(12) : 0,
		.turn = chance(10),
	};
}

void gene_mutate(struct gene *gene)
{
	switch (chance_below(5)) {
	case 0:
		gene->seed = chance_bits();
		break;
	case 1:
		gene->twist = chance(70) ? chance_bits() : 0;
		break;
	case 2:
		gene->fail = chance(70) ? 1 + chance_below(20) : 0;
		break;
	case 3:
		gene->turn = !gene->turn;
		break;
	case 4:
		*gene = any_gene();
		break;
	}
}
