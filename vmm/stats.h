/* SPDX-License-Identifier: GPL-2.0 */
/* The report at the end: what each queue's doorbell and call have done. */
#ifndef STATS_H
#define STATS_H

#include <stdio.h>

#include "virtio_pci.h"

/** stats_write() - after virtio_pci_stop(); false: errno tells why not */
bool stats_write(FILE *file, const struct virtio_pci *v);

#endif /* STATS_H */
