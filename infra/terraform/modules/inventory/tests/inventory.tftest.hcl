variables {
  nodes      = { "s2c-node1" = "10.60.0.11", "s2c-node2" = "10.60.0.12", "s2c-node3" = "10.60.0.13" }
  entry      = "198.51.100.7"
  first_node = "s2c-node1"
  gpu_nodes  = { "s2c-gpu1" = "198.51.100.9" }
  volume_id  = "01234567-89ab-cdef-0123-456789abcdef"
  ssh_cidr   = "192.0.2.7/32"
  buckets    = { datasets = "s2c-datasets" }
}

run "three_control_planes" {
  command = plan

  assert {
    condition     = length(yamldecode(output.yaml).kube_control_plane.hosts) == 3
    error_message = "Each node is a control plane."
  }
  assert {
    condition     = keys(yamldecode(output.yaml).etcd.hosts) == keys(yamldecode(output.yaml).kube_node.hosts)
    error_message = "etcd and pods run on the same nodes."
  }
}

run "one_way_in" {
  command = plan

  assert {
    condition     = yamldecode(output.yaml).kube_control_plane.hosts["s2c-node1"].ansible_host == "198.51.100.7"
    error_message = "The first node is reached at its public address."
  }
  assert {
    condition     = yamldecode(output.yaml).kube_control_plane.hosts["s2c-node2"].ansible_ssh_common_args == "-o ProxyJump=cc@198.51.100.7"
    error_message = "The others are reached through it."
  }
  assert {
    condition     = yamldecode(output.yaml).kube_control_plane.hosts["s2c-node1"].ip == "10.60.0.11"
    error_message = "Kubernetes uses the private addresses."
  }
}

run "volume_by_serial" {
  command = plan

  assert {
    condition     = yamldecode(output.yaml).state.hosts["s2c-node1"].volume_device == "/dev/disk/by-id/virtio-01234567-89ab-cdef-0"
    error_message = "virtio shows the first 20 characters of the volume's id."
  }
}

run "no_gpu" {
  command = plan

  variables {
    gpu_nodes = {}
  }
  assert {
    condition     = length(yamldecode(output.yaml).gpu.hosts) == 0
    error_message = "Without a reservation there is no GPU node."
  }
}

run "even_number_is_refused" {
  command = plan

  variables {
    nodes = { "s2c-node1" = "10.60.0.11", "s2c-node2" = "10.60.0.12" }
  }
  expect_failures = [var.nodes]
}
