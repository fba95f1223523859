// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nomem.h"

#define UNDO KVM_IOEVENTFD_FLAG_DEASSIGN

/* --- opening, attaching, asking ------------------------------------------- */

int make_open(struct nomem *s)
{
	int fd = kvmfd_open();

	if (fd < 0)
		return -fd;
	close(s->any);
	s->any = fd;
	return 0;
}

int make_attach(struct nomem *s)
{
	return -kvmfd_attach_vm(s->any, s->vm, 0, 0, NULL);
}

int make_attach_foreign(struct nomem *s)
{
	return -kvmfd_attach_vm(s->any, s->vm, KVMFD_VM_FOREIGN, 0, NULL);
}

const char *wrong_if_attached(struct nomem *s, int err)
{
	bool attached = device_info(s->any).state == KVMFD_STATE_ATTACHED;

	if (!err)
		return attached ? NULL : "not attached";
	if (!attached)
		return NULL;
	if (err != EFAULT)
		return "attached";

	/* The one call that can have taken place then, see docs/abi.md. */
	close(s->any);
	s->any = device_open();
	return NULL;
}

static int find(struct nomem *s, uint32_t flags)
{
	struct kvmfd_find found;

	return -kvmfd_find_vm(s->fd, s->vm, flags, 0, &found);
}

int make_find(struct nomem *s)
{
	return find(s, 0);
}

int make_find_foreign(struct nomem *s)
{
	return find(s, KVMFD_VM_FOREIGN);
}

int make_info(struct nomem *s)
{
	struct kvmfd_info info;

	return -kvmfd_get_info(s->fd, &info);
}

int make_list(struct nomem *s)
{
	/* Each larger than the module's. */
	uint64_t entries[4][sizeof(struct kvmfd_entry) / sizeof(uint64_t) + 1];
	struct kvmfd_list list = {
		.size = sizeof(list),
		.entries = (uintptr_t)entries,
		.entry_size = sizeof(entries[0]),
		.count = ARRAY_SIZE(entries),
	};

	return do_ioctl(s->fd, KVMFD_LIST, &list);
}

/* The irqfd that stays. */
void prepare_measure(struct nomem *s)
{
	struct kvmfd_entry entries[16];
	unsigned int i, n = device_entries(s->fd, entries, ARRAY_SIZE(entries));

	for (i = 0; i < n; i++)
		if (entries[i].kind == KVMFD_ENTRY_IRQFD && entries[i].gsi == STAYS_GSI)
			s->irqfd = entries[i].id;
}

static int latency(struct nomem *s, uint32_t flags)
{
	struct kvmfd_latency l;

	return -kvmfd_latency(s->fd, flags, s->irqfd, &l);
}

int make_measure(struct nomem *s)
{
	return latency(s, KVMFD_LATENCY_START);
}

const char *wrong_if_measured(struct nomem *s, int err)
{
	return latency(s, KVMFD_LATENCY_STOP) == (err ? ENODATA : 0) ? NULL : "the measurement";
}

int make_fdinfo(struct nomem *s)
{
	char path[64], text[4096];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	err = read(fd, text, sizeof(text)) > 0 ? 0 : errno;
	close(fd);
	return err;
}

/* --- changes ---------------------------------------------------------------- */

static struct kvmfd_change opposite(const struct kvmfd_change *change)
{
	struct kvmfd_change c = *change;

	if (c.kind == KVMFD_ENTRY_IRQFD)
		c.flags ^= KVM_IRQFD_FLAG_DEASSIGN;
	else
		c.flags ^= KVM_IOEVENTFD_FLAG_DEASSIGN;
	return c;
}

static int change_one(int fd, struct kvmfd_change c)
{
	if (c.kind == KVMFD_ENTRY_IRQFD)
		return resampled_irqfd(fd, c.fd, c.gsi, c.flags, c.resamplefd);
	if (c.mask && ~c.mask)
		return masked_ioeventfd(fd, c.fd, c.addr, c.len, c.flags, c.data, c.mask);
	return ioeventfd(fd, c.fd, c.addr, c.len, c.flags, c.data);
}

void prepare_change(struct nomem *s)
{
	must(change_one(s->fd, s->change), "assign");
}

int make_change(struct nomem *s)
{
	return change_one(s->fd, s->change);
}

int unmake_change(struct nomem *s)
{
	return change_one(s->fd, opposite(&s->change));
}

int make_by_batch(struct nomem *s)
{
	return -kvmfd_batch(s->fd, &s->change, 1, NULL);
}

int unmake_by_batch(struct nomem *s)
{
	struct kvmfd_change c = opposite(&s->change);

	return -kvmfd_batch(s->fd, &c, 1, NULL);
}

int make_as_supervisor(struct nomem *s)
{
	return change_one(s->any, s->change);
}

/* Does an event go where the change has led it? */
static bool changed(struct nomem *s)
{
	const struct kvmfd_change *c = &s->change;
	bool pio = c->flags & KVM_IOEVENTFD_FLAG_PIO;

	if (c->kind == KVMFD_ENTRY_IRQFD) {
		/* An irqfd takes it. */
		eventfd_ring(s->efd);
		return !eventfd_take(s->efd);
	}

	guest_write(&s->guest, pio ? SPACE_PIO : SPACE_MMIO, c->addr, 4, c->data);
	return eventfd_take(s->efd);
}

const char *wrong_if_changed(struct nomem *s, int err)
{
	return changed(s) == !err ? NULL : "the assign";
}

const char *wrong_unless_changed(struct nomem *s, int err)
{
	return changed(s) == !!err ? NULL : "the deassign";
}

/* Every kind of change: two doorbells leave, an irqfd does, one is replaced. */
int make_many(struct nomem *s)
{
	const struct kvmfd_change changes[] = {
		{ DOORBELL(STAYS_DATA, 4, DATAMATCH | UNDO), VALUE(1, ~0ULL), .fd = s->kick },
		{ DOORBELL(CALL_PORT + 8, 4, PIO | UNDO), .fd = s->kick },
		{ DOORBELL(STAYS_DATA, 4, DATAMATCH), VALUE(1, ~0ULL), .fd = s->efd },
		{ DOORBELL(CALL_ADDR, 4, DATAMATCH), VALUE(1, 3), .fd = s->efd },
		{ DOORBELL(CALL_ADDR + WILDCARD, 0, 0), .fd = s->efd },
		{ DOORBELL(CALL_PORT, 4, PIO), .fd = s->efd },
		{ DOORBELL(5, 8, KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY), .fd = s->efd },
		{ IRQFD(STAYS_GSI, KVM_IRQFD_FLAG_DEASSIGN), .fd = s->call },
		{ IRQFD(STAYS_GSI, 0), .fd = s->call },
		{ IRQFD(PIN, KVM_IRQFD_FLAG_DEASSIGN), .fd = s->source.call },
		{ IRQFD(EDGE_PIN, RESAMPLE), .fd = s->efd, .resamplefd = s->resamplefd },
	};

	return -kvmfd_batch(s->fd, changes, ARRAY_SIZE(changes), NULL);
}

const char *wrong_many(struct nomem *s, int err)
{
	eventfd_take(s->kick);
	guest_write(&s->guest, SPACE_MMIO, STAYS_DATA, 4, 1);
	/* The irqfd takes what the doorbell signals, but only if both are there. */
	if (eventfd_take(s->kick) != !!err || eventfd_take(s->efd))
		return "the doorbell that has another eventfd";
	eventfd_ring(s->source.call);
	if (!!eventfd_take(s->source.call) == !!err)
		return "the irqfd that leaves";
	return NULL;
}
