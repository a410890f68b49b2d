"""Dashboard of the machine: processor, memory, disks, the other servers, certificates and GPUs."""

from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query

_DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|fuse.*"'

PAGE = Dashboard(
    uid="snap2caption-host",
    title="Snap2Caption: host",
    description="The machine, the servers that the service needs, and GPUs.",
    panels=(
        Panel(
            "Processor", "The share of time that the cores were busy.", "percentunit",
            [Query(f'1 - avg by (instance) (rate(node_cpu_seconds_total{{mode="idle"}}[{RATE}]))', "{{instance}}")],
        ),
        Panel(
            "Memory", "Memory that is available, and all of it.", "bytes",
            [
                Query("sum by (instance) (node_memory_MemAvailable_bytes)", "available"),
                Query("sum by (instance) (node_memory_MemTotal_bytes)", "total"),
            ],
        ),
        Panel(
            "Room on disks", "The share of each file system that is free. Below 10 % pages.", "percentunit",
            [
                Query(
                    f"min by (mountpoint) (node_filesystem_avail_bytes{{{_DISKS}}} / node_filesystem_size_bytes{{{_DISKS}}})",
                    "{{mountpoint}}",
                )
            ],
        ),
        Panel(
            "Network", "Bytes received and sent, without loopback.", "Bps",
            [
                Query(f'sum(rate(node_network_receive_bytes_total{{device!="lo"}}[{RATE}]))', "received"),
                Query(f'sum(rate(node_network_transmit_bytes_total{{device!="lo"}}[{RATE}]))', "sent"),
            ],
        ),
        Panel(
            "Servers", "1 while a server answers its probe.", "short",
            [Query("min by (service) (probe_success)", "{{service}}")],
        ),
        Panel(
            "Time of the probes", "How long each server takes to answer.", "s",
            [Query("max by (service) (probe_duration_seconds)", "{{service}}")],
        ),
        Panel(
            "Targets", "1 while Prometheus can scrape it.", "short",
            [Query("min by (job, instance) (up)", "{{job}}")],
        ),
        Panel(
            "Alerts", "Alerts that fire, by severity.", "short",
            [Query('sum by (severity) (ALERTS{alertstate="firing"})', "{{severity}}")],
        ),
        Panel(
            "Certificates", "How long certificates are still valid.", "s",
            [Query("min by (instance) (probe_ssl_earliest_cert_expiry) - time()", "{{instance}}")], single=True,
        ),
        Panel(
            "GPU load", "The share of time that each GPU was busy.", "percent",
            [Query("max by (gpu) (DCGM_FI_DEV_GPU_UTIL)", "GPU {{gpu}}")],
        ),
        Panel(
            "GPU memory", "Memory in use on each GPU, in MiB.", "mbytes",
            [Query("max by (gpu) (DCGM_FI_DEV_FB_USED)", "GPU {{gpu}}")],
        ),
        Panel(
            "GPU temperature", "Above 85 °C is an alert.", "celsius",
            [Query("max by (gpu) (DCGM_FI_DEV_GPU_TEMP)", "GPU {{gpu}}")],
        ),
    ),
)  # fmt: skip
