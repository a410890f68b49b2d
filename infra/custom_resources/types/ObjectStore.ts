// ObjectStore of CloudNativePG's plugin Barman Cloud 0.16, for which there is no package: what its definition allows of
// objects that are stored by S3 (config/crd/bases/barmancloud.cnpg.io_objectstores.yaml).
interface SecretKey {
  name: string;
  key: string;
}

interface Amounts {
  cpu?: string;
  memory?: string;
}

export interface IObjectStore {
  apiVersion: "barmancloud.cnpg.io/v1";
  kind: "ObjectStore";
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: {
    /** A number of days, weeks or months, such as 30d. */
    retentionPolicy?: `${number}${"d" | "w" | "m"}`;
    // No serverName: that is a parameter of the plugin, in the Cluster.
    configuration: {
      destinationPath: string;
      endpointURL?: string;
      endpointCA?: SecretKey;
      s3Credentials?: {
        accessKeyId?: SecretKey;
        secretAccessKey?: SecretKey;
        sessionToken?: SecretKey;
        region?: SecretKey;
        inheritFromIAMRole?: boolean;
      };
      data?: {
        compression?: "bzip2" | "gzip" | "snappy";
        encryption?: "AES256" | "aws:kms";
        immediateCheckpoint?: boolean;
        jobs?: number;
        additionalCommandArgs?: string[];
      };
      wal?: {
        compression?: "bzip2" | "gzip" | "lz4" | "snappy" | "xz" | "zstd";
        encryption?: "AES256" | "aws:kms";
        maxParallel?: number;
        archiveAdditionalCommandArgs?: string[];
        restoreAdditionalCommandArgs?: string[];
      };
      tags?: Record<string, string>;
      historyTags?: Record<string, string>;
    };
    instanceSidecarConfiguration?: {
      resources?: { requests?: Amounts; limits?: Amounts };
      logLevel?: "error" | "warning" | "info" | "debug" | "trace";
      retentionPolicyIntervalSeconds?: number;
      additionalContainerArgs?: string[];
      env?: { name: string; value?: string }[];
    };
  };
}
