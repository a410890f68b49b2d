# CHI@UC: a bare-metal GPU node, for as long as its reservation lasts. Everything on it can be made again.
#
# Security groups do not filter bare-metal hosts there, so Ansible's base role gives this one a firewall of its own.

locals {
  gpu_nodes = var.gpu_reservation_id == null ? toset([]) : toset(["${var.name}-gpu1"])
}

data "openstack_images_image_v2" "gpu" {
  provider    = openstack.uc
  for_each    = local.gpu_nodes
  name        = var.gpu_image
  most_recent = true
}

data "openstack_networking_network_v2" "shared" {
  provider = openstack.uc
  for_each = local.gpu_nodes
  name     = "sharednet1"
}

resource "openstack_compute_keypair_v2" "uc" {
  provider   = openstack.uc
  for_each   = local.gpu_nodes
  name       = var.name
  public_key = var.ssh_public_key
}

resource "openstack_networking_port_v2" "gpu" {
  provider   = openstack.uc
  for_each   = local.gpu_nodes
  name       = each.key
  network_id = data.openstack_networking_network_v2.shared[each.key].id
}

resource "openstack_compute_instance_v2" "gpu" {
  provider    = openstack.uc
  for_each    = local.gpu_nodes
  name        = each.key
  image_id    = data.openstack_images_image_v2.gpu[each.key].id
  flavor_name = "baremetal"
  key_pair    = openstack_compute_keypair_v2.uc[each.key].name

  network {
    port = openstack_networking_port_v2.gpu[each.key].id
  }

  scheduler_hints {
    additional_properties = {
      reservation = var.gpu_reservation_id
    }
  }

  lifecycle {
    ignore_changes = [image_id]
  }
}

resource "openstack_networking_floatingip_v2" "gpu" {
  provider = openstack.uc
  for_each = local.gpu_nodes
  pool     = var.external_network
}

resource "openstack_networking_floatingip_associate_v2" "gpu" {
  provider    = openstack.uc
  for_each    = local.gpu_nodes
  floating_ip = openstack_networking_floatingip_v2.gpu[each.key].address
  port_id     = openstack_networking_port_v2.gpu[each.key].id
}
