variable "kvm_cloud" {
  description = "Name of the KVM@TACC entry in clouds.yaml."
  type        = string
  default     = "kvm-tacc"
}

variable "uc_cloud" {
  description = "Name of the CHI@UC entry in clouds.yaml."
  type        = string
  default     = "chi-uc"
}

variable "name" {
  description = "Prefix of everything that is created, so that several people can share a Chameleon project."
  type        = string
  default     = "snap2caption"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "Use 2 to 31 lower-case letters, digits and hyphens, starting with a letter: nodes are named after it."
  }
}

variable "ssh_cidr" {
  description = "The one network that may connect by SSH, such as 192.0.2.7/32."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.ssh_cidr)) && try(tonumber(split("/", var.ssh_cidr)[1]) >= 16, false)
    error_message = "Give one IPv4 network of /16 or smaller; SSH is never open to the world."
  }
}

variable "web_cidrs" {
  description = "Networks that may connect to ports 80 and 443. None by default: open them once TLS and keys are set up."
  type        = set(string)
  default     = []
}

variable "ssh_public_key" {
  description = "Public key of the operator, as in ~/.ssh/id_ed25519.pub."
  type        = string

  validation {
    condition     = can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256|sk-ssh-ed25519@openssh.com) ", var.ssh_public_key))
    error_message = "Give the content of a public key file; a private key must not get into Terraform's state."
  }
}

variable "node_flavor_id" {
  description = "Flavor of the cluster's nodes: on KVM@TACC, the UUID of a flavor reservation made in Blazar."
  type        = string
}

variable "node_image" {
  description = "Image of the cluster's nodes."
  type        = string
  default     = "CC-Ubuntu24.04"
}

variable "private_cidr" {
  description = "Network of the nodes among each other."
  type        = string
  default     = "10.60.0.0/24"
}

variable "dns_servers" {
  description = "DNS servers of the nodes, in order. An empty list leaves it to the site."
  type        = list(string)
  default     = ["1.1.1.1", "8.8.8.8"]

  validation {
    condition     = alltrue([for address in var.dns_servers : can(cidrnetmask("${address}/32"))])
    error_message = "Give IPv4 addresses of DNS servers."
  }
}

variable "external_network" {
  description = "Network that floating IPs come from, at both sites."
  type        = string
  default     = "public"
}

variable "volume_gib" {
  description = "Size of the block volume for system state. It can grow later, and never shrink."
  type        = number
  default     = 100

  validation {
    condition     = var.volume_gib >= 20 && floor(var.volume_gib) == var.volume_gib
    error_message = "Give a whole number of GiB, 20 or more."
  }
}

variable "gpu_reservation_id" {
  description = "UUID of a Blazar reservation of a bare-metal GPU host at CHI@UC, or null for no GPU node."
  type        = string
  default     = null
}

variable "gpu_image" {
  description = "Image of the GPU node. It contains NVIDIA's driver."
  type        = string
  default     = "CC-Ubuntu24.04-CUDA"
}
