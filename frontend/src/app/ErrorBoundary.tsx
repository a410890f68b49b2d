import { Component, type ReactNode } from "react";
import { Button } from "@/ui/Button";

interface State {
  failed: boolean;
}

/** Says that the page has failed, in place of a blank one. What is stored on the device is not lost. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { failed: false };

  static getDerivedStateFromError(): State {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <main role="alert" className="mx-auto mt-16 flex max-w-md flex-col items-start gap-5 px-4">
        <h1 className="text-2xl font-extrabold">The page has failed</h1>
        <p>
          This is a fault of ours. Your voice, history and feedback are safe. Load the page again to go on.
        </p>
        <Button kind="primary" onClick={() => window.location.reload()}>
          Load again
        </Button>
      </main>
    );
  }
}
