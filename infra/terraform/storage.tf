# CHI@UC: buckets. Swift calls them containers, and its S3 interface shows the same ones.

resource "openstack_objectstorage_container_v1" "bucket" {
  provider = openstack.uc
  for_each = toset(["datasets", "feedback", "mlflow"])
  name     = "${var.name}-${each.key}"
  # Older versions of overwritten and deleted objects stay.
  versioning = true

  lifecycle {
    prevent_destroy = true
  }
}
