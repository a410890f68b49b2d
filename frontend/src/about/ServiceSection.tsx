import { useQuery } from "@tanstack/react-query";
import { client } from "@/api/client";
import { Button } from "@/ui/Button";
import { Message } from "@/ui/Message";
import { conditionOf } from "./readiness";
import { Section } from "./Section";

/** The model that writes the captions, and whether everything works. */
export function ServiceSection() {
  const condition = useQuery({
    queryKey: ["readiness"],
    queryFn: async () => {
      const { response, data, error } = await client.GET("/readyz");
      return conditionOf(response, data ?? error);
    },
    networkMode: "always",
  });
  return (
    <Section title="Captions">
      {condition.error && <Message kind="problem">{condition.error.message}</Message>}
      {condition.data && (
        <>
          <p>
            {condition.data.modelVersion ? (
              <>
                Written by the model <strong>{condition.data.modelVersion}</strong>.
              </>
            ) : (
              "No model writes captions now."
            )}{" "}
            {condition.data.troubles.length === 0 && "Everything works."}
          </p>
          {condition.data.limitations && <p className="text-muted">{condition.data.limitations}</p>}
          {condition.data.troubles.length > 0 && (
            <Message kind={condition.data.isReady ? "notice" : "problem"}>
              <ul className="flex flex-col gap-1">
                {condition.data.troubles.map((trouble) => (
                  <li key={trouble}>{trouble}</li>
                ))}
              </ul>
            </Message>
          )}
        </>
      )}
      <Button className="self-start" disabled={condition.isFetching} onClick={() => void condition.refetch()}>
        Check again
      </Button>
    </Section>
  );
}
