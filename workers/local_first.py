"""What a workflow's local activities have brought is told to it one by one, before anything else that has happened.

A query that is answered while a local activity ends makes the SDK record that end in one workflow task and tell the
workflow of it in the next one, together with whatever has happened since. A replay tells of it in the first of the two,
by itself. The workflow would then ask for things in another order than it did, and the order would stop for good.
Told this way, a workflow does the same in both.
"""

from collections.abc import Sequence
from typing import Any, Final

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

_KNOWN_FIRST: Final = frozenset({"initialize_workflow", "notify_has_patch", "update_random_seed"})


class LocalFirst(WorkflowRunner):
    """Runs workflows as another runner does, the SDK's sandbox, and tells them what has happened in a fixed order."""

    def __init__(self, runner: WorkflowRunner | None = None) -> None:
        self._runner = runner or SandboxedWorkflowRunner()

    def prepare_workflow(self, defn: Any) -> None:
        """As the runner within does."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance of the runner within, told in order."""
        return _Instance(self._runner.create_instance(det))

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """As the runner within does."""
        self._runner.set_worker_level_failure_exception_types(types)


class _Instance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        told = _in_order(act)
        done = self._instance.activate(told[0])
        for part in told[1:]:
            if done.HasField("failed"):
                break
            then = self._instance.activate(part)
            if then.HasField("failed"):
                return then
            done.MergeFrom(then)
        return done

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> workflow.Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


def _in_order(act: WorkflowActivation) -> list[WorkflowActivation]:
    local = [job for job in act.jobs if _is_end_of_local(job)]
    # What the code is to know before it goes on at all, such as the patches that its history has.
    known = [job for job in act.jobs if _is_known_first(job)]
    rest = [job for job in act.jobs if not _is_end_of_local(job) and not _is_known_first(job)]
    if not local or not (local[1:] or rest):
        return [act]
    return [_with(act, jobs) for jobs in ([*known, local[0]], *([job] for job in local[1:]), rest) if jobs]


def _is_end_of_local(job: WorkflowActivationJob) -> bool:
    return job.HasField("resolve_activity") and job.resolve_activity.is_local


def _is_known_first(job: WorkflowActivationJob) -> bool:
    return job.WhichOneof("variant") in _KNOWN_FIRST


def _with(act: WorkflowActivation, jobs: Sequence[WorkflowActivationJob]) -> WorkflowActivation:
    part = WorkflowActivation()
    part.CopyFrom(act)
    del part.jobs[:]
    part.jobs.extend(jobs)
    return part
