# Credentials come from clouds.yaml, one application credential for each site, and never from a variable or the state.
terraform {
  required_version = ">= 1.9"

  required_providers {
    openstack = {
      source  = "terraform-provider-openstack/openstack"
      version = "~> 3.4"
    }
  }
}

# KVM@TACC: virtual machines for the cluster.
provider "openstack" {
  alias = "kvm"
  cloud = var.kvm_cloud
}

# CHI@UC: the object store, and bare-metal GPU nodes.
provider "openstack" {
  alias = "uc"
  cloud = var.uc_cloud
}
