import { forgetKey, useKey } from "@/api/key";
import { Button } from "@/ui/Button";
import { Section } from "./Section";

/** The creator's key; nothing if the service asks for none. */
export function KeySection() {
  if (useKey() === null) return null;
  return (
    <Section title="Your key">
      <p>
        This page uses a key that says whose voice and feedback is whose. Without it, you are asked for
        another one.
      </p>
      <Button className="self-start" onClick={forgetKey}>
        Forget or change the key
      </Button>
    </Section>
  );
}
