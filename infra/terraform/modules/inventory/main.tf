# Ansible's inventory, in YAML. It has no provider, so that `terraform test` runs it anywhere, offline.

terraform {
  required_version = ">= 1.9"
}

variable "nodes" {
  description = "Private address of each node of the cluster, by name."
  type        = map(string)

  validation {
    condition     = length(var.nodes) % 2 == 1
    error_message = "etcd wants an odd number of nodes."
  }
}

variable "entry" {
  description = "Public address of the first node, through which the others are reached."
  type        = string
}

variable "first_node" {
  description = "Name of the node that has the public address and the block volume."
  type        = string
}

variable "gpu_nodes" {
  description = "Public address of each GPU node, by name."
  type        = map(string)
}

variable "volume_id" {
  description = "Id of the block volume. Its first 20 characters are the serial number that virtio shows."
  type        = string
}

variable "ssh_cidr" {
  description = "Network that may connect by SSH."
  type        = string
}

variable "buckets" {
  description = "Names of the buckets, by what they hold."
  type        = map(string)
}

locals {
  members = { for name in keys(var.nodes) : name => {} }
  nodes = {
    for name, address in var.nodes : name => merge(
      { ansible_host = name == var.first_node ? var.entry : address, ip = address, access_ip = address },
      name == var.first_node ? {} : { ansible_ssh_common_args = "-o ProxyJump=cc@${var.entry}" },
    )
  }
  inventory = {
    all = {
      vars = { ansible_user = "cc", base_ssh_cidr = var.ssh_cidr, buckets = var.buckets }
    }
    kube_control_plane = { hosts = local.nodes }
    etcd               = { hosts = local.members }
    kube_node          = { hosts = local.members }
    k8s_cluster        = { children = { kube_control_plane = {}, kube_node = {} } }
    state = {
      hosts = { (var.first_node) = { volume_device = "/dev/disk/by-id/virtio-${substr(var.volume_id, 0, 20)}" } }
    }
    gpu          = { hosts = { for name, address in var.gpu_nodes : name => { ansible_host = address } } }
    object_store = { children = { gpu = {} } }
  }
}

output "yaml" {
  description = "The inventory."
  value       = yamlencode(local.inventory)
}
