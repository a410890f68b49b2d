// RayJob of KubeRay 1.6, for which there is no package: what a training uses of its definition
// (docs.ray.io, KubeRay CRD API reference). Its pods are checked like any other.
interface PodTemplate {
  metadata?: object;
  spec: object;
}

interface Group {
  rayStartParams: Record<string, string>;
  template: PodTemplate;
}

export interface IRayJob {
  apiVersion: "ray.io/v1";
  kind: "RayJob";
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: {
    entrypoint?: string;
    runtimeEnvYAML?: string;
    backoffLimit?: number;
    activeDeadlineSeconds?: number;
    shutdownAfterJobFinishes?: boolean;
    /** Only with shutdownAfterJobFinishes. */
    ttlSecondsAfterFinished?: number;
    submissionMode?: "K8sJobMode" | "HTTPMode" | "InteractiveMode" | "SidecarMode";
    submitterPodTemplate?: PodTemplate;
    suspend?: boolean;
    rayClusterSpec?: {
      rayVersion?: string;
      authOptions?: { mode?: "disabled" | "token"; secretName?: string };
      enableInTreeAutoscaling?: boolean;
      headGroupSpec: Group & { serviceType?: string };
      workerGroupSpecs?: (Group & {
        groupName: string;
        replicas?: number;
        minReplicas?: number;
        maxReplicas?: number;
        numOfHosts?: number;
      })[];
    };
  };
}
