# KVM@TACC: three nodes, each of them a control plane and a worker, and a block volume for system state.

locals {
  # An odd number, so that etcd keeps a majority when one of them is lost.
  nodes = toset([for number in range(1, 4) : "${var.name}-node${number}"])
  # It has the floating IP, which is the way in to all of them, and the block volume.
  first = "${var.name}-node1"
}

data "openstack_images_image_v2" "node" {
  provider    = openstack.kvm
  name        = var.node_image
  most_recent = true
}

resource "openstack_compute_keypair_v2" "kvm" {
  provider   = openstack.kvm
  name       = var.name
  public_key = var.ssh_public_key
}

resource "openstack_networking_port_v2" "node" {
  provider   = openstack.kvm
  for_each   = local.nodes
  name       = each.key
  network_id = openstack_networking_network_v2.private.id
  security_group_ids = concat(
    [openstack_networking_secgroup_v2.cluster.id],
    each.key == local.first ? [openstack_networking_secgroup_v2.ssh.id, openstack_networking_secgroup_v2.web.id] : [],
  )

  fixed_ip {
    subnet_id = openstack_networking_subnet_v2.private.id
  }
}

# On three hosts where the site has room, so that losing a host does not take etcd's majority along.
resource "openstack_compute_servergroup_v2" "nodes" {
  provider = openstack.kvm
  name     = var.name
  policies = ["soft-anti-affinity"]
}

resource "openstack_compute_instance_v2" "node" {
  provider  = openstack.kvm
  for_each  = local.nodes
  name      = each.key
  image_id  = data.openstack_images_image_v2.node.id
  flavor_id = var.node_flavor_id
  key_pair  = openstack_compute_keypair_v2.kvm.name

  network {
    port = openstack_networking_port_v2.node[each.key].id
  }

  scheduler_hints {
    group = openstack_compute_servergroup_v2.nodes.id
  }

  # A newer image of that name must not replace running nodes.
  lifecycle {
    ignore_changes = [image_id]
  }
}

resource "openstack_networking_floatingip_v2" "first" {
  provider = openstack.kvm
  pool     = var.external_network
}

resource "openstack_networking_floatingip_associate_v2" "first" {
  provider    = openstack.kvm
  floating_ip = openstack_networking_floatingip_v2.first.address
  port_id     = openstack_networking_port_v2.node[local.first].id
  depends_on  = [openstack_networking_router_interface_v2.private]
}

resource "openstack_blockstorage_volume_v3" "state" {
  provider             = openstack.kvm
  name                 = "${var.name}-state"
  description          = "System state: databases, registry, monitoring"
  size                 = var.volume_gib
  enable_online_resize = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "openstack_compute_volume_attach_v2" "state" {
  provider    = openstack.kvm
  instance_id = openstack_compute_instance_v2.node[local.first].id
  volume_id   = openstack_blockstorage_volume_v3.state.id
}
