module "inventory" {
  source     = "./modules/inventory"
  nodes      = { for name, port in openstack_networking_port_v2.node : name => port.all_fixed_ips[0] }
  entry      = openstack_networking_floatingip_v2.first.address
  first_node = local.first
  gpu_nodes  = { for name, address in openstack_networking_floatingip_v2.gpu : name => address.address }
  volume_id  = openstack_blockstorage_volume_v3.state.id
  ssh_cidr   = var.ssh_cidr
  buckets    = { for key, bucket in openstack_objectstorage_container_v1.bucket : key => bucket.name }
}

output "inventory" {
  description = "Ansible's inventory: terraform output -raw inventory >../ansible/inventory/hosts.yml"
  value       = module.inventory.yaml
}

output "address" {
  description = "Floating IP of the first node: SSH, and the web page once web_cidrs opens it."
  value       = openstack_networking_floatingip_v2.first.address
}

output "buckets" {
  description = "Names of the buckets at CHI@UC."
  value       = { for key, bucket in openstack_objectstorage_container_v1.bucket : key => bucket.name }
}
