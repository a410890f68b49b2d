# KVM@TACC: a private network behind a router, and security groups that open only what is named here.

data "openstack_networking_network_v2" "external" {
  provider = openstack.kvm
  name     = var.external_network
  external = true
}

resource "openstack_networking_network_v2" "private" {
  provider       = openstack.kvm
  name           = var.name
  admin_state_up = true
}

resource "openstack_networking_subnet_v2" "private" {
  provider   = openstack.kvm
  name       = var.name
  network_id = openstack_networking_network_v2.private.id
  cidr       = var.private_cidr
  ip_version = 4
  # Without any, whether nodes can resolve names depends on how the site's DHCP is set up.
  dns_nameservers = var.dns_servers
}

resource "openstack_networking_router_v2" "private" {
  provider            = openstack.kvm
  name                = var.name
  external_network_id = data.openstack_networking_network_v2.external.id
}

resource "openstack_networking_router_interface_v2" "private" {
  provider  = openstack.kvm
  router_id = openstack_networking_router_v2.private.id
  subnet_id = openstack_networking_subnet_v2.private.id
}

# Members reach each other on every port, and whatever is outside: packages, images, the object store.
resource "openstack_networking_secgroup_v2" "cluster" {
  provider             = openstack.kvm
  name                 = "${var.name}-cluster"
  description          = "Traffic among the nodes, and out"
  delete_default_rules = true
}

resource "openstack_networking_secgroup_rule_v2" "cluster_members" {
  provider          = openstack.kvm
  direction         = "ingress"
  ethertype         = "IPv4"
  remote_group_id   = openstack_networking_secgroup_v2.cluster.id
  security_group_id = openstack_networking_secgroup_v2.cluster.id
}

resource "openstack_networking_secgroup_rule_v2" "cluster_egress" {
  provider          = openstack.kvm
  direction         = "egress"
  ethertype         = "IPv4"
  remote_ip_prefix  = "0.0.0.0/0"
  security_group_id = openstack_networking_secgroup_v2.cluster.id
}

resource "openstack_networking_secgroup_v2" "ssh" {
  provider             = openstack.kvm
  name                 = "${var.name}-ssh"
  description          = "SSH from the operator's network"
  delete_default_rules = true
}

resource "openstack_networking_secgroup_rule_v2" "ssh" {
  provider          = openstack.kvm
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = 22
  port_range_max    = 22
  remote_ip_prefix  = var.ssh_cidr
  security_group_id = openstack_networking_secgroup_v2.ssh.id
}

resource "openstack_networking_secgroup_v2" "web" {
  provider             = openstack.kvm
  name                 = "${var.name}-web"
  description          = "The web page and the API"
  delete_default_rules = true
}

resource "openstack_networking_secgroup_rule_v2" "web" {
  provider = openstack.kvm
  for_each = {
    for pair in setproduct(var.web_cidrs, [80, 443]) : "${pair[0]} ${pair[1]}" => { cidr = pair[0], port = pair[1] }
  }

  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = each.value.port
  port_range_max    = each.value.port
  remote_ip_prefix  = each.value.cidr
  security_group_id = openstack_networking_secgroup_v2.web.id
}
